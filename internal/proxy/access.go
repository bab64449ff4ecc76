package proxy

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// accessLog takes records of requests without ever making a request wait: they are
// gathered in memory, put into words and written in batches by another goroutine, and
// dropped (and counted) when that is so slow that the memory is full.
type accessLog struct {
	out   io.Writer            // takes lines of JSON; may be nil
	lines func([]octo.LogLine) // takes what the logs of apps say; may be nil
	log   *slog.Logger
	limit int
	wake  chan struct{} // holds one token when there is something to write

	text []byte // of the last batch, to be used again; belongs to run

	mu      sync.Mutex
	pending []record
	spare   []record
	weight  int // of those that are pending, in bytes
	dropped int64
	lost    map[octo.Name]int // of them, those that have not been told of; "" for those of no app
}

func newAccessLog(cfg *Config, log *slog.Logger, limit int) *accessLog {
	return &accessLog{
		out: cfg.AccessLog, lines: cfg.Lines, log: log, limit: limit,
		wake: make(chan struct{}, 1), lost: make(map[octo.Name]int),
	}
}

// recordWeight is about what a record takes besides the texts of its client, in bytes.
const recordWeight = 400

// add takes a record, or drops it.
func (a *accessLog) add(r *record, texts int) {
	if a.out == nil && a.lines == nil {
		return
	}
	a.mu.Lock()
	if a.weight >= a.limit {
		a.dropped++
		a.lost[r.App]++
	} else {
		a.pending = append(a.pending, *r)
		a.weight += recordWeight + texts
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// batch is for how long records are gathered before they are written.
const batch = 20 * time.Millisecond

// run writes what is added until ctx ends, and then what is left.
func (a *accessLog) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-a.wake:
			await(ctx.Done(), batch)
			a.flush()
		case <-ctx.Done():
		}
	}
	a.flush()
}

// flush puts what was added into words, and writes it.
func (a *accessLog) flush() {
	a.mu.Lock()
	full, lost := a.pending, a.lost
	a.pending, a.spare, a.weight = a.spare[:0], nil, 0
	if len(lost) > 0 {
		a.lost = make(map[octo.Name]int)
	}
	a.mu.Unlock()
	a.tell(full, lost)
	a.write(full)
	clear(full) // the texts of clients
	a.mu.Lock()
	a.spare = full
	a.mu.Unlock()
}

// tell gives the logs of apps what there is to say.
func (a *accessLog) tell(full []record, lost map[octo.Name]int) {
	all := 0
	var lines []octo.LogLine
	for _, app := range slices.Sorted(maps.Keys(lost)) {
		all += lost[app]
		if app != "" {
			lines = append(lines, dropped(app, lost[app]))
		}
	}
	if all > 0 {
		a.log.Warn("access log too slow, records dropped", "records", all)
	}
	if a.lines == nil {
		return
	}
	var text []byte
	for i := range full {
		if full[i].App != "" {
			var line octo.LogLine
			line, text = full[i].line(text)
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		a.lines(lines)
	}
}

// keepText is the largest buffer that is kept for the next batch, in bytes.
const keepText = 1 << 20

// write writes the access log.
func (a *accessLog) write(full []record) {
	if a.out == nil || len(full) == 0 {
		return
	}
	text := a.text[:0]
	for i := range full {
		text = full[i].append(text)
	}
	if _, err := a.out.Write(text); err != nil {
		a.log.Warn("access log not written", "err", err)
	}
	if a.text = text; cap(text) > keepText {
		a.text = nil
	}
}

// drops returns how many records were dropped.
func (a *accessLog) drops() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dropped
}
