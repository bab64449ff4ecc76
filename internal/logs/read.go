package logs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/ring"
)

// DefaultTail is how many lines are shown when nobody says.
const DefaultTail = 100

// Read yields the lines of an app's log that a query selects, the oldest first, and
// with Follow those that come, until ctx is done or the app is gone. Whoever reads
// slowly holds up nobody; a line says where the log has gone on without them.
func (a *Archive) Read(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	return func(yield func(octo.LogLine, error) bool) {
		log, err := a.stream(app).reader()
		if err != nil {
			yield(octo.LogLine{}, err)
			return
		}
		end := log.End()
		last, err := tail(ctx, log, end, app, q)
		if err != nil {
			yield(octo.LogLine{}, err)
			return
		}
		for _, l := range last {
			if !yield(l, nil) {
				return
			}
		}
		if q.Follow {
			follow(ctx, log, end, app, q, yield)
		}
	}
}

// tail returns the last lines before a place that a query selects, the oldest first.
func tail(ctx context.Context, log *ring.Log, end ring.Position, app octo.Name, q octo.LogQuery) ([]octo.LogLine, error) {
	var last []octo.LogLine
	want := wantOf(q)
	for r, err := range log.Backward(end) {
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case len(last) == cmp.Or(q.Tail, DefaultTail), r.Time.Before(q.Since): // no line is kept before it is printed
			slices.Reverse(last)
			return last, nil
		}
		if line, ok := want.line(r.Data, app); ok {
			last = append(last, line)
		}
	}
	slices.Reverse(last)
	return last, nil
}

func follow(ctx context.Context, log *ring.Log, from ring.Position, app octo.Name, q octo.LogQuery, yield func(octo.LogLine, error) bool) {
	want := wantOf(q)
	for r, err := range log.Follow(ctx, from) {
		if err != nil {
			if !errors.Is(err, ring.ErrRemoved) { // else there is nothing to follow any more
				yield(octo.LogLine{}, err)
			}
			return
		}
		if r.Gap && !yield(gap(app), nil) {
			return
		}
		if line, ok := want.line(r.Data, app); ok && !yield(line, nil) {
			return
		}
	}
}

// gap is what a reader is told who was too slow.
func gap(app octo.Name) octo.LogLine {
	return octo.LogLine{
		Time: time.Now().UTC(), App: app, Source: octo.LogOctohost,
		Text: "lines are missing here: they had to go before they were read",
	}
}

// want is a query that looks at records before they are lines.
type want struct {
	q       octo.LogQuery
	process string // of an app's lines
	texts   [][]byte
}

func wantOf(q octo.LogQuery) want {
	w := want{q: q}
	w.process, _, _ = strings.Cut(q.Process, ".")
	for _, text := range []string{q.Request, q.Text} {
		if text != "" {
			w.texts = append(w.texts, []byte(text))
		}
	}
	return w
}

// line returns the line of a record, if it is one that is asked for.
func (w *want) line(data []byte, app octo.Name) (octo.LogLine, bool) {
	r, ok := parse(data)
	if !ok || w.q.Release != 0 && r.release != w.q.Release || w.isOther(&r) {
		return octo.LogLine{}, false
	}
	for _, text := range w.texts {
		if !bytes.Contains(r.text, text) {
			return octo.LogLine{}, false
		}
	}
	e := r.entry(app)
	return e.line, w.q.Selects(&e.line)
}

// isOther reports whether a line is of another process than the one that is asked for.
func (w *want) isOther(r *record) bool {
	return w.process != "" && w.process != string(octo.LogApp) && r.source == fromApp && string(r.name) != w.process
}
