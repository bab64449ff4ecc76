package storetest

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/store"
)

func watchCases() []testCase {
	return []testCase{
		{"FirstYieldsTheCurrentTruth", firstTruth},
		{"FirstYieldsThatNothingIsThere", firstNothing},
		{"SeesPutAndDelete", seesChanges},
		{"EndsUpWithTheLastOfManyWrites", lastOfMany},
		{"NeverGoesBack", neverGoesBack},
		{"KeepsToItsPrefix", watchKeepsToPrefix},
		{"EveryWatcherSees", everyWatcher},
		{"SeesWhatHappensWhileItIsLookedAt", writeInLoop},
		{"EndsWhenTheLoopIsLeft", endsOnBreak},
		{"EndsWhenTheContextIsDone", endsOnCancel},
		{"DoesNotBeginWhenTheContextIsDone", neverBegins},
	}
}

// watching is a watch that runs in a goroutine of its own until the test ends.
type watching struct {
	states chan []string
	end    chan struct{}
}

func watch(t *testing.T, s store.Store, prefix string) *watching {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{states: make(chan []string), end: make(chan struct{})}
	go func() { // ends with the test
		defer close(w.end)
		for entries, err := range s.Watch(ctx, prefix) {
			state := pairs(entries)
			if err != nil {
				state = []string{err.Error()}
			}
			select {
			case w.states <- state:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-w.end
	})
	return w
}

// until waits for a state; others before it do not matter.
func (w *watching) until(t *testing.T, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	var last []string
	late := time.After(patience)
	for {
		select {
		case last = <-w.states:
		case <-late:
			require.Equal(t, want, last, "the last state that the watch saw")
			require.Fail(t, "the watch saw the state only once it was too late")
		}
		if slices.Equal(last, want) {
			return
		}
	}
}

// first returns the first state of a watch.
func (w *watching) first(t *testing.T) []string {
	t.Helper()
	select {
	case state := <-w.states:
		return state
	case <-time.After(patience):
		require.Fail(t, "the watch yields nothing")
		return nil
	}
}

func firstTruth(t *testing.T, s store.Store) {
	put(t, s, "apps/b", "2", store.Absent)
	put(t, s, "apps/a", "1", store.Absent)
	put(t, s, "other/a", "3", store.Absent)
	require.Equal(t, []string{"apps/a=1", "apps/b=2"}, watch(t, s, "apps/").first(t))
	require.Equal(t, []string{"apps/a=1", "apps/b=2", "other/a=3"}, watch(t, s, "").first(t))
}

func firstNothing(t *testing.T, s store.Store) {
	require.Empty(t, watch(t, s, "apps/").first(t))
	require.Empty(t, watch(t, s, "").first(t))
}

func seesChanges(t *testing.T, s store.Store) {
	w := watch(t, s, "apps/")
	w.until(t)
	v := put(t, s, "apps/a", "1", store.Absent)
	w.until(t, "apps/a=1")
	put(t, s, "apps/a", "2", v)
	w.until(t, "apps/a=2")
	put(t, s, "apps/b", "1", store.Absent)
	w.until(t, "apps/a=2", "apps/b=1")
	require.NoError(t, s.Delete(context.Background(), "apps/a", store.Any))
	w.until(t, "apps/b=1")
	require.NoError(t, s.Delete(context.Background(), "apps/b", store.Any))
	w.until(t)
	put(t, s, "apps/a", "1", store.Absent)
	w.until(t, "apps/a=1")
}

func lastOfMany(t *testing.T, s store.Store) {
	w := watch(t, s, "n/")
	w.until(t)
	for i := range 200 {
		put(t, s, "n/a", strconv.Itoa(i), store.Any)
	}
	w.until(t, "n/a=199")
}

func neverGoesBack(t *testing.T, s store.Store) {
	const last = 200
	put(t, s, "n/a", "0", store.Absent)
	written := make(chan error, 1)
	go func() { written <- writeNumbers(s, "n/a", last) }() // waited for below
	before := 0
	for entries, err := range s.Watch(t.Context(), "n/") {
		require.NoError(t, err)
		require.Len(t, entries, 1)
		now, err := strconv.Atoi(string(entries[0].Value))
		require.NoError(t, err)
		require.GreaterOrEqual(t, now, before)
		if before = now; now == last {
			break
		}
	}
	require.NoError(t, <-written)
}

// writeNumbers writes 1 to last under key.
func writeNumbers(s store.Store, key string, last int) error {
	for i := range last {
		if _, err := s.Put(context.Background(), key, []byte(strconv.Itoa(i+1)), store.Any); err != nil {
			return err
		}
	}
	return nil
}

func watchKeepsToPrefix(t *testing.T, s store.Store) {
	w := watch(t, s, "apps/a/")
	w.until(t)
	put(t, s, "apps/ab/x", "1", store.Absent)
	put(t, s, "apps/a", "1", store.Absent)
	put(t, s, "apps/b/x", "1", store.Absent)
	put(t, s, "apps/a/x", "1", store.Absent)
	w.until(t, "apps/a/x=1")
}

func everyWatcher(t *testing.T, s store.Store) {
	var all []*watching
	for range 20 {
		all = append(all, watch(t, s, "apps/"), watch(t, s, ""))
	}
	put(t, s, "apps/a", "1", store.Absent)
	for _, w := range all {
		w.until(t, "apps/a=1")
	}
}

// writeInLoop changes what is watched between two yields: the watch must not miss
// it.
func writeInLoop(t *testing.T, s store.Store) {
	n := 0
	for entries, err := range s.Watch(t.Context(), "n/") {
		require.NoError(t, err)
		if n > 0 {
			require.Equal(t, []string{"n/a=" + strconv.Itoa(n)}, pairs(entries))
		}
		if n++; n > 10 {
			break
		}
		put(t, s, "n/a", strconv.Itoa(n), store.Any)
	}
	require.Equal(t, 11, n)
}

// endsOnBreak leaves many watches after their first state and looks whether
// anything goes on.
func endsOnBreak(t *testing.T, s store.Store) {
	leave := func() {
		for _, err := range s.Watch(context.Background(), "apps/") {
			require.NoError(t, err)
			break
		}
	}
	leave() // whatever an implementation starts once for all is running now
	const many = 50
	before := runtime.NumGoroutine()
	for range many {
		leave()
	}
	put(t, s, "apps/a", "1", store.Absent)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+many/5 }, patience, 10*time.Millisecond,
		"goroutines go on after their loops were left")
}

func endsOnCancel(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	began, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with the watch
		defer close(ended)
		once := sync.OnceFunc(func() { close(began) })
		for _, err := range s.Watch(ctx, "apps/") {
			if err == nil {
				once()
			}
		}
	}()
	<-began
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		require.Fail(t, "the watch goes on though its context is done")
	}
}

func neverBegins(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for entries, err := range s.Watch(ctx, "apps/") {
		require.ErrorIs(t, err, context.Canceled, "yielded %v", pairs(entries))
	}
}
