package proxy

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// accessLog writes records of requests without ever making a request wait: they are
// gathered in memory, written in batches, and dropped (and counted) when the writer
// is so slow that the memory is full.
type accessLog struct {
	out   io.Writer
	log   *slog.Logger
	limit int
	wake  chan struct{} // holds one token when there is something to write

	mu      sync.Mutex
	pending []byte
	spare   []byte
	dropped int64 // in all
	told    int64 // how many of them were reported
}

func newAccessLog(out io.Writer, log *slog.Logger, limit int) *accessLog {
	return &accessLog{out: out, log: log, limit: limit, wake: make(chan struct{}, 1)}
}

// add takes a record, or drops it.
func (a *accessLog) add(r *record) {
	if a.out == nil {
		return
	}
	a.mu.Lock()
	if len(a.pending) >= a.limit {
		a.dropped++
	} else {
		a.pending = r.append(a.pending)
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

func (a *accessLog) flush() {
	a.mu.Lock()
	full := a.pending
	a.pending, a.spare = a.spare[:0], nil
	lost := a.dropped - a.told
	a.told = a.dropped
	a.mu.Unlock()
	if lost > 0 {
		a.log.Warn("access log too slow, records dropped", "records", lost)
	}
	if len(full) > 0 {
		if _, err := a.out.Write(full); err != nil {
			a.log.Warn("access log not written", "err", err)
		}
	}
	a.mu.Lock()
	a.spare = full
	a.mu.Unlock()
}

// lost returns how many records were dropped.
func (a *accessLog) lost() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dropped
}
