package bolt

import (
	"bytes"
	"context"

	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// write is a Put or a Delete on its way.
type write struct {
	key    string
	value  []byte
	remove bool
	expect store.Version

	version store.Version // what Put returns
	err     error
	done    bool // guarded by Store.writing
}

// Put writes value; see store.Store. Once begun it is carried through, even if ctx
// ends meanwhile.
func (s *Store) Put(ctx context.Context, key string, value []byte, expect store.Version) (store.Version, error) {
	if err := checkWrite(ctx, key, value); err != nil {
		return 0, err
	}
	w := &write{key: key, value: bytes.Clone(value), expect: expect}
	s.do(w)
	return w.version, w.err
}

// Delete removes key; see store.Store. Like Put it is carried through.
func (s *Store) Delete(ctx context.Context, key string, expect store.Version) error {
	if err := checkWrite(ctx, key, nil); err != nil {
		return err
	}
	w := &write{key: key, remove: true, expect: expect}
	s.do(w)
	return w.err
}

func checkWrite(ctx context.Context, key string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return store.CheckValue(key, value)
}

// do carries w out. Writes that arrive while others are on their way to the disk
// share the next trip: whoever gets to write next takes all that wait along.
func (s *Store) do(w *write) {
	w.err = octo.Errorf(octo.ErrUnavailable, "the write of %s was cut short", w.key)
	s.waitingMu.Lock()
	s.waiting = append(s.waiting, w)
	s.waitingMu.Unlock()

	s.writing.Lock()
	defer s.writing.Unlock()
	if w.done {
		return
	}
	s.waitingMu.Lock()
	batch := s.waiting
	s.waiting = nil
	s.waitingMu.Unlock()
	s.commit(batch)
}

// commit decides a batch, makes it durable and then visible, in this order; s.writing
// is held. When the disk refuses, nothing of it has happened.
func (s *Store) commit(batch []*write) {
	changes, limit, err := s.decide(batch)
	if err == nil && len(changes) > 0 {
		failpoint.Hit("store-before-commit")
		err = s.persist(changes, limit)
		failpoint.Hit("store-after-commit")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight = nil
	for _, w := range batch {
		w.done = true
		if err != nil {
			w.version, w.err = 0, err
		}
	}
	if err != nil {
		return
	}
	s.limit = limit
	for key, it := range changes {
		s.table.set(key, it)
		s.wake(key)
	}
}

// decide says of every write in the batch whether it happens, as if they came one
// after the other. It returns what changes (an absent item is a removal), which
// from now on is in flight, and the reservation of versions to persist with it.
func (s *Store) decide(batch []*write) (map[string]item, store.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refuse(); err != nil {
		return nil, 0, err
	}
	changes := make(map[string]item, len(batch))
	for _, w := range batch {
		now, changed := changes[w.key]
		if !changed {
			now = s.table.get(w.key)
		}
		if w.err = w.conflict(now); w.err != nil || w.remove && now.Version == store.Absent {
			continue
		}
		changes[w.key] = item{}
		if !w.remove {
			w.version = s.version()
			changes[w.key] = item{Entry: store.Entry{Key: w.key, Value: w.value, Version: w.version}}
		}
	}
	s.inFlight = changes
	return changes, s.enough(), nil
}

// conflict returns why w cannot happen to what its key holds now.
func (w *write) conflict(now item) error {
	switch {
	case now.lease != nil:
		return octo.Errorf(octo.ErrConflict, "%s is held under a lease", w.key)
	case w.expect == store.Any:
		return nil
	case w.remove && now.Version == store.Absent:
		return octo.Errorf(octo.ErrNotFound, "%s does not exist", w.key)
	case w.expect == now.Version:
		return nil
	case w.expect == store.Absent:
		return octo.Errorf(octo.ErrConflict, "%s exists already", w.key)
	}
	return octo.Errorf(octo.ErrConflict, "%s was changed by somebody else", w.key)
}

// version gives out the next version; s.mu is held.
func (s *Store) version() store.Version {
	s.next++
	return s.next
}

// enough returns how far versions must be reserved before those given out now may
// be seen: with so much to spare that leases, which write nothing to the disk,
// rarely have to wait for a reservation of their own. s.mu is held.
func (s *Store) enough() store.Version {
	if s.limit >= s.next+block/2 {
		return s.limit
	}
	return s.next + block
}

// reserve makes sure that versions can be given out without a write; s.writing is
// held.
func (s *Store) reserve() error {
	s.mu.Lock()
	limit, err := s.enough(), s.refuse()
	had := s.limit
	s.mu.Unlock()
	if err != nil || limit == had {
		return err
	}
	if err := s.persist(nil, limit); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	return nil
}
