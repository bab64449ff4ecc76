package platform

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// DefaultTail is how many lines or events are shown when nobody says.
const DefaultTail = 100

// run is one life of an instance's container: it logs until it ends, and is another
// one when it is started again.
type run struct {
	container string
	restarts  int
}

// Logs yields lines of what the instances of an app print, oldest first. With
// Follow it goes on, across restarts and releases, until ctx is done.
func (p *Platform) Logs(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	return func(yield func(octo.LogLine, error) bool) {
		lines, err := p.recent(ctx, app, q)
		if err != nil {
			yield(octo.LogLine{}, err)
			return
		}
		last := q.Since
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
			last = l.Time
		}
		if q.Follow {
			p.follow(ctx, app, last, yield)
		}
	}
}

// recent returns the last lines of all instances together, oldest first.
func (p *Platform) recent(ctx context.Context, app octo.Name, q octo.LogQuery) ([]octo.LogLine, error) {
	tail := cmp.Or(q.Tail, DefaultTail)
	instances, err := p.Instances(ctx, octo.Identity{Admin: true}, app)
	if err != nil {
		return nil, err
	}
	var all []octo.LogLine
	for _, i := range instances {
		if i.Container == "" {
			continue
		}
		for line, err := range p.Engine.Logs(ctx, i.Container, engine.LogOptions{Tail: tail, Since: q.Since}) {
			if errors.Is(err, octo.ErrNotFound) {
				break // it went between the list and the look
			}
			if err != nil {
				return nil, err
			}
			all = append(all, logLine(i, line))
		}
	}
	slices.SortStableFunc(all, func(a, b octo.LogLine) int { return a.Time.Compare(b.Time) })
	return all[max(0, len(all)-tail):], nil
}

func logLine(i octo.Instance, l engine.LogLine) octo.LogLine {
	return octo.LogLine{Time: l.Time, App: i.App, Process: i.Process, Instance: i.ID, Stderr: l.Stderr, Text: l.Text}
}

// follow yields what is printed after a moment, by every instance that there is or
// will be.
func (p *Platform) follow(ctx context.Context, app octo.Name, since time.Time, yield func(octo.LogLine, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	lines := make(chan octo.LogLine)
	g, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		_ = g.Wait() // only ever the end of ctx
	}()
	g.Go(func() error { return p.followAll(ctx, g, app, since, lines) })
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-lines:
			if !yield(l, nil) {
				return
			}
		}
	}
}

// followAll follows each run of each instance as it appears.
func (p *Platform) followAll(ctx context.Context, g *errgroup.Group, app octo.Name, since time.Time, lines chan<- octo.LogLine) error {
	followed := map[run]bool{}
	for docs, err := range p.have().Watch(ctx) {
		if err != nil {
			continue // the watch goes on by itself
		}
		for _, d := range docs {
			for _, i := range d.Value {
				r := run{i.Container, i.Restarts}
				if i.App != app || i.Container == "" || followed[r] {
					continue
				}
				followed[r] = true
				from := since
				if i.Restarts > 0 && i.Started.After(since) {
					from = i.Started // its earlier lives are followed already
				}
				g.Go(func() error { return p.followRun(ctx, i, from, lines) })
			}
		}
	}
	return ctx.Err()
}

func (p *Platform) followRun(ctx context.Context, i octo.Instance, since time.Time, lines chan<- octo.LogLine) error {
	opts := engine.LogOptions{Tail: -1, Since: since, Follow: true}
	for line, err := range p.Engine.Logs(ctx, i.Container, opts) {
		if err != nil {
			return nil // it ended; what comes after it is another run
		}
		if !line.Time.After(since) {
			continue // the engine's since is inclusive, and coarser than its clock
		}
		select {
		case lines <- logLine(i, line):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
