// Package bolt is the store of one machine: a bbolt file, and everything in it also
// in memory. Reads and watches are answered from memory, which changes only after
// the disk has confirmed a write, so that nobody ever acts on something that a
// power cut could undo. Leased keys are in memory only.
package bolt

import (
	"context"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// block is how many versions are reserved on the disk at a time. After a restart
// the rest of a block is left out, so that no version is ever given out twice.
const block = 1 << 20

// Store implements store.Store. Make it with Open.
type Store struct {
	db   *bbolt.DB
	path string
	done chan struct{} // closed by Close

	waitingMu sync.Mutex
	waiting   []*write // writes for the next commit

	writing sync.Mutex // held by the one that writes to the disk

	mu       sync.RWMutex // guards what follows; never held while waiting for the disk
	table    table
	inFlight map[string]item // what is being written to the disk
	next     store.Version   // the last version given out
	limit    store.Version   // the last one that may be, as the disk knows it
	watchers map[*watcher]struct{}
	leases   map[*lease]struct{}
	broken   error // why nothing can be written any more
	closed   bool
}

var _ store.Store = (*Store)(nil)

// Get returns the entry of key; see store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return store.Entry{}, err
	}
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.Entry{}, errClosed()
	}
	it := s.table.get(key)
	if it.Version == store.Absent {
		return store.Entry{}, octo.Errorf(octo.ErrNotFound, "%s does not exist", key)
	}
	return it.Entry, nil
}

// List returns the entries below prefix; see store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed()
	}
	return s.table.list(prefix), nil
}

// Close waits for the write that is under way, ends all leases and watches, and
// closes the file. Doing it again does nothing.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.end() {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return unavailable(s.path, "close", err)
	}
	return nil
}

// end makes the store refuse everything; false if it did so already.
func (s *Store) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	for l := range s.leases {
		l.end()
	}
	close(s.done)
	return true
}

// refuse returns why nothing can be written, if so; s.mu is held.
func (s *Store) refuse() error {
	if s.closed {
		return errClosed()
	}
	return s.broken
}

func errClosed() error {
	return octo.Errorf(octo.ErrUnavailable, "the store is closed")
}
