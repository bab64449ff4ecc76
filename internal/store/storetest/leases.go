package storetest

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func leaseCases() []testCase {
	return []testCase{
		{"HeldKeyIsLikeAnyOther", heldIsThere},
		{"HoldAgainOverwrites", holdAgain},
		{"HeldByOneOnly", heldByOne},
		{"HeldKeyCannotBeWritten", heldIsRefused},
		{"DurableKeyCannotBeHeld", durableIsRefused},
		{"CloseTakesItsKeysAlong", closeTakesKeys},
		{"CloseIsSeenByWatches", closeIsSeen},
		{"ClosedLeaseHoldsNothing", closedHoldsNothing},
		{"VersionsNeverComeBack", heldVersions},
		{"OneOfFiftyHolds", oneHolds},
		{"TTLMustBePositive", badTTL},
	}
}

// lease starts a lease that ends with the test at the latest.
func lease(t *testing.T, s store.Store) store.Lease {
	l, err := s.Lease(context.Background(), ttl)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // most tests have closed it, or the store
	return l
}

// hold holds what must be free.
func hold(t require.TestingT, l store.Lease, key, value string) {
	require.NoError(t, l.Hold(context.Background(), key, []byte(value)), "hold %s", key)
}

// requireHeldSoon waits until l can hold key: a store may keep a key for a moment
// after its lease has ended.
func requireHeldSoon(t require.TestingT, l store.Lease, key, value string) {
	var err error
	held := func() bool {
		err = l.Hold(context.Background(), key, []byte(value))
		return !errors.Is(err, octo.ErrConflict)
	}
	require.Eventually(t, held, patience, 2*time.Millisecond)
	require.NoError(t, err, "hold %s", key)
}

func heldIsThere(t *testing.T, s store.Store) {
	l := lease(t, s)
	put(t, s, "nodes/b", "durable", store.Absent)
	put(t, s, "nodes/d", "durable", store.Absent)
	hold(t, l, "nodes/c", "leased")
	hold(t, l, "nodes/a", "leased")
	want := []string{"nodes/a=leased", "nodes/b=durable", "nodes/c=leased", "nodes/d=durable"}
	require.Equal(t, want, list(t, s, "nodes/"))
	require.Equal(t, want, watch(t, s, "nodes/").first(t))
	entries, err := s.List(context.Background(), "nodes/")
	require.NoError(t, err)
	versions := map[store.Version]bool{}
	for _, e := range entries {
		require.Equal(t, e, get(t, s, e.Key))
		versions[e.Version] = true
	}
	require.NotContains(t, versions, store.Absent)
}

func holdAgain(t *testing.T, s store.Store) {
	l, w := lease(t, s), watch(t, s, "have/")
	hold(t, l, "have/a", "1")
	w.until(t, "have/a=1")
	first := get(t, s, "have/a").Version
	hold(t, l, "have/a", "2")
	w.until(t, "have/a=2")
	require.NotEqual(t, first, get(t, s, "have/a").Version)
}

func heldByOne(t *testing.T, s store.Store) {
	ctx, one, two := context.Background(), lease(t, s), lease(t, s)
	hold(t, one, "leader", "one")
	require.ErrorIs(t, two.Hold(ctx, "leader", []byte("two")), octo.ErrConflict)
	require.Equal(t, "one", string(get(t, s, "leader").Value))
	hold(t, two, "other", "two")
	require.NoError(t, one.Close())
	requireGone(t, s, "leader")
	require.Equal(t, "two", string(get(t, s, "other").Value))
	requireHeldSoon(t, two, "leader", "two")
}

func heldIsRefused(t *testing.T, s store.Store) {
	ctx, l := context.Background(), lease(t, s)
	hold(t, l, "leader", "me")
	held := get(t, s, "leader")
	for _, expect := range []store.Version{store.Any, store.Absent, held.Version} {
		_, err := s.Put(ctx, "leader", []byte("you"), expect)
		require.ErrorIs(t, err, octo.ErrConflict)
	}
	require.ErrorIs(t, s.Delete(ctx, "leader", store.Any), octo.ErrConflict)
	require.ErrorIs(t, s.Delete(ctx, "leader", held.Version), octo.ErrConflict)
	require.Equal(t, held, get(t, s, "leader"))
	require.NoError(t, l.Close())
	put(t, s, "leader", "you", store.Absent)
}

func durableIsRefused(t *testing.T, s store.Store) {
	ctx, l := context.Background(), lease(t, s)
	put(t, s, "leader", "durable", store.Absent)
	require.ErrorIs(t, l.Hold(ctx, "leader", []byte("me")), octo.ErrConflict)
	require.Equal(t, "durable", string(get(t, s, "leader").Value))
	require.NoError(t, s.Delete(ctx, "leader", store.Any))
	hold(t, l, "leader", "me")
}

func closeTakesKeys(t *testing.T, s store.Store) {
	put(t, s, "have/durable", "1", store.Absent)
	l := lease(t, s)
	hold(t, l, "have/a", "1")
	hold(t, l, "have/b", "1")
	select {
	case <-l.Done():
		require.Fail(t, "the lease ends by itself")
	default:
	}
	require.NoError(t, l.Close())
	<-l.Done()
	require.NoError(t, l.Close())
	require.Equal(t, []string{"have/durable=1"}, list(t, s, "have/"))
	requireGone(t, s, "have/a")
}

func closeIsSeen(t *testing.T, s store.Store) {
	l, w := lease(t, s), watch(t, s, "have/")
	put(t, s, "have/durable", "1", store.Absent)
	hold(t, l, "have/a", "1")
	w.until(t, "have/a=1", "have/durable=1")
	require.NoError(t, l.Close())
	w.until(t, "have/durable=1")
}

func closedHoldsNothing(t *testing.T, s store.Store) {
	l := lease(t, s)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Hold(context.Background(), "leader", nil), octo.ErrUnavailable)
	requireGone(t, s, "leader")
}

// heldVersions mixes leased and durable writes of one key.
func heldVersions(t *testing.T, s store.Store) {
	seen := map[store.Version]bool{}
	note := func() {
		v := get(t, s, "leader").Version
		require.False(t, seen[v], "version %d came back", v)
		seen[v] = true
	}
	for i := range 5 {
		l := lease(t, s)
		requireHeldSoon(t, l, "leader", "held "+strconv.Itoa(i))
		note()
		require.NoError(t, l.Close())
		v := put(t, s, "leader", "durable "+strconv.Itoa(i), store.Absent)
		note()
		require.NoError(t, s.Delete(context.Background(), "leader", v))
	}
}

func oneHolds(t *testing.T, s store.Store) {
	leases, errs := make([]store.Lease, writers), make([]error, writers)
	for i := range leases {
		leases[i] = lease(t, s)
	}
	atOnce(func(i int) { errs[i] = leases[i].Hold(context.Background(), "leader", []byte(strconv.Itoa(i))) })
	winner := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, winner, "both %d and %d hold the key", winner, i)
			winner = i
			continue
		}
		require.ErrorIs(t, err, octo.ErrConflict)
	}
	require.NotEqual(t, -1, winner, "nobody holds the key")
	require.Equal(t, strconv.Itoa(winner), string(get(t, s, "leader").Value))
}

func badTTL(t *testing.T, s store.Store) {
	_, err := s.Lease(context.Background(), 0)
	require.ErrorIs(t, err, octo.ErrInvalid)
}
