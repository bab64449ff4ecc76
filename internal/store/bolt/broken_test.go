package bolt

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// After a failure that may have left half a write on the disk the store still
// answers, from what was confirmed, but writes no more.
func TestPut_StopsWritingWhenTheDiskFails(t *testing.T) {
	ctx := context.Background()
	s, err := Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	confirmed, err := s.Put(ctx, "a", []byte("confirmed"), store.Absent)
	require.NoError(t, err)
	l, err := s.Lease(ctx, time.Minute)
	require.NoError(t, err)

	require.NoError(t, s.db.Close()) // the disk is gone
	_, err = s.Put(ctx, "a", []byte("lost"), confirmed)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "then restart octo")
	_, err = s.Put(ctx, "b", nil, store.Absent)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorIs(t, s.Delete(ctx, "a", store.Any), octo.ErrUnavailable)

	e, err := s.Get(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, store.Entry{Key: "a", Value: []byte("confirmed"), Version: confirmed}, e)
	require.NoError(t, l.Hold(ctx, "leased", nil))
	require.NoError(t, s.Close())
}

// Holding a key that is just being written durably waits for that write, and then
// sees it.
func TestHold_WaitsForTheSameKeyOnly(t *testing.T) {
	ctx := context.Background()
	s, err := Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	l, err := s.Lease(ctx, time.Minute)
	require.NoError(t, err)
	require.NoError(t, l.Hold(ctx, "first", nil)) // reserves versions

	s.writing.Lock() // as the one who writes "busy" to a very slow disk
	changes, limit, err := s.decide([]*write{{key: "busy", expect: store.Absent}})
	require.NoError(t, err)
	require.NoError(t, l.Hold(ctx, "free", nil))
	held := make(chan error, 1)
	go func() { held <- l.Hold(ctx, "busy", nil) }() // waited for below
	require.NoError(t, s.persist(changes, limit))
	s.mu.Lock()
	s.inFlight, s.limit = nil, limit
	s.table.set("busy", changes["busy"])
	s.mu.Unlock()
	s.writing.Unlock()
	require.ErrorIs(t, <-held, octo.ErrConflict)
}

// When the reservation runs out a lease makes a new one.
func TestHold_ReservesVersions(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "octo.db")
	s, err := Open(path)
	require.NoError(t, err)
	l, err := s.Lease(ctx, time.Minute)
	require.NoError(t, err)
	var last store.Version
	for range 3 {
		s.mu.Lock()
		s.next = s.limit
		s.mu.Unlock()
		require.NoError(t, l.Hold(ctx, "leased", nil))
		e, err := s.Get(ctx, "leased")
		require.NoError(t, err)
		require.Greater(t, e.Version, last)
		require.LessOrEqual(t, e.Version, s.limit)
		last = e.Version
	}
	require.NoError(t, s.Close())
	s, err = Open(path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, s.next, last)
	require.NoError(t, s.Close())
}
