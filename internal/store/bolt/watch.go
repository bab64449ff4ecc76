package bolt

import (
	"context"
	"iter"
	"strings"

	"github.com/octohost/octohost/internal/store"
)

// watcher is a running Watch.
type watcher struct {
	prefix string
	// woken holds one token when something below prefix changed since the watcher
	// last looked. It is filled and emptied under Store.mu.
	woken chan struct{}
}

// Watch yields what is below prefix; see store.Store. A prefix that is not one, and
// the end of the store, are yielded as an error and end the watch.
func (s *Store) Watch(ctx context.Context, prefix string) iter.Seq2[[]store.Entry, error] {
	return func(yield func([]store.Entry, error) bool) {
		if err := store.CheckPrefix(prefix); err != nil {
			yield(nil, err)
			return
		}
		w := s.subscribe(prefix)
		defer s.unsubscribe(w)
		for ctx.Err() == nil {
			entries, err := s.look(w)
			if !yield(entries, err) || err != nil {
				return
			}
			select {
			case <-w.woken:
			case <-s.done:
			case <-ctx.Done():
			}
		}
	}
}

func (s *Store) subscribe(prefix string) *watcher {
	w := &watcher{prefix: prefix, woken: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
	return w
}

func (s *Store) unsubscribe(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// look returns what w watches. Changes that it contains will not wake w again.
func (s *Store) look(w *watcher) ([]store.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed()
	}
	select {
	case <-w.woken:
	default:
	}
	return s.table.list(w.prefix), nil
}

// wake tells the watchers of key that it changed. s.mu is held for writing.
func (s *Store) wake(key string) {
	for w := range s.watchers {
		if !strings.HasPrefix(key, w.prefix) {
			continue
		}
		select {
		case w.woken <- struct{}{}:
		default: // it is awake already, and has not looked yet
		}
	}
}
