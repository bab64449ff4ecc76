package proxy

import (
	"net/http"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// fleet holds the backends, one per instance, for as long as a route names them or
// their instance has not been forgotten.
type fleet struct {
	transport func(*backend) *http.Transport // how to reach an instance
	answer    time.Duration                  // that an instance may take to answer, before a route says more

	mu       sync.Mutex
	backends map[octo.InstanceID]*backend
}

func newFleet(transport func(*backend) *http.Transport, answer time.Duration) *fleet {
	return &fleet{transport: transport, answer: answer, backends: make(map[octo.InstanceID]*backend)}
}

// find returns the backend of an instance, or nil.
func (f *fleet) find(id octo.InstanceID) *backend {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backends[id]
}

// get returns the backend of an instance, which may be new.
func (f *fleet) get(id octo.InstanceID) *backend {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.getLocked(id)
}

func (f *fleet) getLocked(id octo.InstanceID) *backend {
	b := f.backends[id]
	if b == nil {
		b = newBackend(id)
		b.answer = f.answer
		b.transport.Store(f.transport(b))
		f.backends[id] = b
	}
	return b
}

// route returns the backend of an instance for a site that points to it, and that gives
// it so much time to answer. Requests that are on their way keep the time they had.
func (f *fleet) route(id octo.InstanceID, answer time.Duration) *backend {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.getLocked(id)
	if b.answer != answer {
		b.answer = answer
		b.transport.Swap(f.transport(b)).CloseIdleConnections()
	}
	b.routed++
	b.alive.Store(time.Now().UnixNano())
	return b
}

// unroute takes note that one site less points to b. It stays known: requests may
// be on their way to it, and the node will want to drain it.
func (f *fleet) unroute(b *backend) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.routed--
}

// forget drops what is known of an instance, cuts what is on the way to it, which
// nobody will answer any more, and closes its idle connections. A backend that a
// route still names starts afresh instead, for an instance of the same name may
// follow; one that no route names refuses those who looked it up before.
func (f *fleet) forget(id octo.InstanceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.backends[id]
	if b == nil {
		return
	}
	if b.routed > 0 {
		b.cut(errCut)
		b.transport.Swap(f.transport(b)).CloseIdleConnections()
		b.reopen()
		return
	}
	delete(f.backends, id)
	b.drain()
	b.cut(errCut)
	b.transport.Load().CloseIdleConnections()
}

// closeIdle closes the idle connections of all.
func (f *fleet) closeIdle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.backends {
		b.transport.Load().CloseIdleConnections()
	}
}
