package bolt_test

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func TestClose_EndsLeasesAndWatches(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "octo.db"))
	l, err := s.Lease(context.Background(), time.Minute)
	require.NoError(t, err)
	began, ended := make(chan struct{}), make(chan error, 1)
	go func() { // ends with the watch
		var last error
		for _, err := range s.Watch(context.Background(), "") {
			if last = err; err == nil {
				close(began)
			}
		}
		ended <- last
	}()
	<-began
	require.NoError(t, s.Close())
	<-l.Done()
	require.ErrorIs(t, <-ended, octo.ErrUnavailable)
	require.ErrorIs(t, l.Hold(context.Background(), "a", nil), octo.ErrUnavailable)
	require.NoError(t, l.Close())
	require.NoError(t, s.Close())
}

func TestClose_NothingWorksAfterIt(t *testing.T) {
	ctx, s := context.Background(), open(t, filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, s.Close())
	_, err := s.Get(ctx, "a")
	require.ErrorIs(t, err, octo.ErrUnavailable)
	_, err = s.List(ctx, "")
	require.ErrorIs(t, err, octo.ErrUnavailable)
	_, err = s.Put(ctx, "a", nil, store.Any)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorIs(t, s.Delete(ctx, "a", store.Any), octo.ErrUnavailable)
	_, err = s.Lease(ctx, time.Minute)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	yields := 0
	for _, err := range s.Watch(ctx, "") {
		yields++
		require.ErrorIs(t, err, octo.ErrUnavailable)
	}
	require.Equal(t, 1, yields)
}

func TestClose_WaitsForWritesUnderWay(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "octo.db")
	s := open(t, path)
	const writers = 20
	acknowledged := make(chan string, writers)
	for i := range writers {
		key := string(rune('a' + i))
		go func() { // waited for through the channel
			if _, err := s.Put(ctx, key, nil, store.Absent); err != nil {
				key = ""
			}
			acknowledged <- key
		}()
	}
	runtime.Gosched()
	require.NoError(t, s.Close())
	again := open(t, path)
	for range writers {
		if key := <-acknowledged; key != "" {
			_, err := again.Get(ctx, key)
			require.NoError(t, err)
		}
	}
}

// Watchers of other prefixes must not be woken: there may be thousands of changes
// a second that do not concern them.
func TestWatch_WakesOnlyThoseConcerned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octo.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		ctx, cancel := context.WithCancel(context.Background())
		yields := map[string]int{"apps/a/": 0, "apps/": 0, "apps/ab/": 0, "": 0}
		counted := make(chan string)
		for prefix := range yields {
			go func() { // ends with ctx
				for range s.Watch(ctx, prefix) {
					counted <- prefix
				}
			}()
		}
		drain := func() {
			for {
				synctest.Wait()
				select {
				case prefix := <-counted:
					yields[prefix]++
				default:
					return
				}
			}
		}
		drain()
		require.Equal(t, map[string]int{"apps/a/": 1, "apps/": 1, "apps/ab/": 1, "": 1}, yields)
		_, err := s.Put(ctx, "apps/a/x", nil, store.Absent)
		require.NoError(t, err)
		drain()
		require.Equal(t, map[string]int{"apps/a/": 2, "apps/": 2, "apps/ab/": 1, "": 2}, yields)
		_, err = s.Put(ctx, "apps/a/x", nil, store.Absent)
		require.ErrorIs(t, err, octo.ErrConflict)
		require.NoError(t, s.Delete(ctx, "apps/missing", store.Any))
		drain()
		require.Equal(t, map[string]int{"apps/a/": 2, "apps/": 2, "apps/ab/": 1, "": 2}, yields)
		cancel()
		synctest.Wait()
		require.NoError(t, s.Close())
	})
}
