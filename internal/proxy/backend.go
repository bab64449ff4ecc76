package proxy

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// backend is what the proxy knows of one instance: who is on the way to it, whether
// it may take more, whether it could be dialled, and the connections to it. These
// belong to the instance and never to an address, so that an address that is given
// to another app cannot be reached by them.
type backend struct {
	id octo.InstanceID

	inFlight  atomic.Int64
	draining  atomic.Bool  // written under mu
	downUntil atomic.Int64 // Unix nanoseconds; 0 means that the last dial succeeded
	alive     atomic.Int64 // when it last answered or was routed, Unix nanoseconds
	requests  atomic.Int64
	failures  atomic.Int64
	transport atomic.Pointer[http.Transport]

	mu        sync.Mutex
	exchanges map[*exchange]struct{} // those in flight
	idle      chan struct{}          // closed when it drains and nothing is in flight

	// Guarded by the fleet.
	routed int           // sites that point to it
	answer time.Duration // that it may take to begin an answer
}

func newBackend(id octo.InstanceID) *backend {
	return &backend{id: id, exchanges: make(map[*exchange]struct{}), idle: make(chan struct{})}
}

// well reports whether the instance takes requests, as far as is known.
func (b *backend) well(now int64) bool {
	return !b.draining.Load() && b.downUntil.Load() <= now
}

// enter counts an exchange in, or refuses it because the instance drains.
func (b *backend) enter(x *exchange) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.draining.Load() {
		return false
	}
	b.exchanges[x] = struct{}{}
	b.inFlight.Add(1)
	b.requests.Add(1)
	return true
}

// leave counts an exchange out.
func (b *backend) leave(x *exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.exchanges, x)
	b.inFlight.Add(-1)
	b.settle()
}

// settle tells those who wait that an emptied instance is empty.
func (b *backend) settle() {
	if !b.draining.Load() || len(b.exchanges) > 0 {
		return
	}
	select {
	case <-b.idle:
	default:
		close(b.idle)
	}
}

// drain refuses new requests from now on and returns a channel that is closed when
// none is in flight.
func (b *backend) drain() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining.Store(true)
	b.settle()
	return b.idle
}

// reopen takes requests again, as a new instance of the same name would.
func (b *backend) reopen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining.Store(false)
	b.downUntil.Store(0)
	b.alive.Store(0)
	select {
	case <-b.idle:
		b.idle = make(chan struct{})
	default:
	}
}

// cut ends every exchange that is in flight and returns how many there were.
func (b *backend) cut(cause error) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for x := range b.exchanges {
		x.cancel(cause)
	}
	return len(b.exchanges)
}

// shut takes away the client connections of those who did not leave when they were
// cut: they are stuck in a write to a client that does not read.
func (b *backend) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for x := range b.exchanges {
		x.abort()
	}
}

// empty drains, and cuts what is in flight when ctx ends. It returns how many were
// cut, and ErrTimeout if they could not be ended.
func (b *backend) empty(ctx context.Context) (int, error) {
	idle := b.drain()
	select {
	case <-idle:
		return 0, nil
	case <-ctx.Done():
	}
	n := b.cut(errCut)
	if await(idle, time.Second) {
		return n, nil
	}
	b.shut()
	if await(idle, 5*time.Second) {
		return n, nil
	}
	return n, octo.Errorf(octo.ErrTimeout, "%d requests to %s could not be cut", b.inFlight.Load(), b.id)
}

// await reports whether done is closed within d.
func await(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
