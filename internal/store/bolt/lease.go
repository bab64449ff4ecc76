package bolt

import (
	"bytes"
	"context"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// lease holds keys in memory only. There is one process, so it cannot be lost
// while the store is open: ttl has no meaning.
type lease struct {
	store  *Store
	done   chan struct{}
	closed bool // guarded by Store.mu
}

// Lease starts a lease; see store.Store. Only Close, its own or the store's, ends
// it.
func (s *Store) Lease(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if ttl <= 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "a lease cannot live for %v", ttl)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed()
	}
	l := &lease{store: s, done: make(chan struct{})}
	s.leases[l] = struct{}{}
	return l, nil
}

// Hold writes key under the lease. It waits for no disk, except when the same key
// is just being written durably, or after very many writes.
func (l *lease) Hold(ctx context.Context, key string, value []byte) error {
	if err := checkWrite(ctx, key, value); err != nil {
		return err
	}
	s := l.store
	s.mu.Lock()
	if _, busy := s.inFlight[key]; busy || s.next >= s.limit {
		s.mu.Unlock()
		s.writing.Lock()
		defer s.writing.Unlock()
		if err := s.reserve(); err != nil {
			return err
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	return l.hold(key, value)
}

// hold is Hold; Store.mu is held, key is not in flight and versions are reserved.
func (l *lease) hold(key string, value []byte) error {
	s := l.store
	if l.closed {
		return octo.Errorf(octo.ErrUnavailable, "the lease that would hold %s has ended", key)
	}
	if it := s.table.get(key); it.Version != store.Absent && it.lease != l {
		return octo.Errorf(octo.ErrConflict, "%s exists already, and not under this lease", key)
	}
	entry := store.Entry{Key: key, Value: bytes.Clone(value), Version: s.version()}
	s.table.set(key, item{Entry: entry, lease: l})
	s.wake(key)
	return nil
}

// Done is closed when the lease has ended.
func (l *lease) Done() <-chan struct{} { return l.done }

// Close ends the lease: its keys vanish. Doing it again does nothing.
func (l *lease) Close() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.end()
	return nil
}

// end ends the lease; Store.mu is held.
func (l *lease) end() {
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	delete(l.store.leases, l)
	for _, key := range l.store.table.release(l) {
		l.store.wake(key)
	}
}
