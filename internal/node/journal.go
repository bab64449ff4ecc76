package node

import (
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// journal records events one after the other, without ever keeping the loop: how
// long it takes to write one is not known.
type journal struct {
	record func(octo.Event)

	mu     sync.Mutex
	queue  []octo.Event
	closed bool
	woken  chan struct{} // holds a token when there is something to do
}

func newJournal(record func(octo.Event)) *journal {
	return &journal{record: record, woken: make(chan struct{}, 1)}
}

func (j *journal) add(e octo.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	j.mu.Lock()
	j.queue = append(j.queue, e)
	j.mu.Unlock()
	j.wake()
}

func (j *journal) wake() {
	select {
	case j.woken <- struct{}{}:
	default: // a token is there already
	}
}

// close lets run return when everything is recorded.
func (j *journal) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.wake()
}

// run records until the journal is closed.
func (j *journal) run() {
	for range j.woken {
		events, closed := j.take()
		for _, e := range events {
			j.record(e)
		}
		if closed {
			return
		}
	}
}

func (j *journal) take() ([]octo.Event, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := j.queue
	j.queue = nil
	return events, j.closed
}
