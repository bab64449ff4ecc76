package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func versionCases() []testCase {
	return []testCase{
		{"AbsentCreatesOnly", absentCreates},
		{"AnyAlwaysWrites", anyWrites},
		{"OthersMustMatch", othersMatch},
		{"DeleteExpectsToo", deleteExpects},
		{"NeverUsedAgainAfterDelete", neverUsedAgain},
		{"OneOfFiftyCreates", oneCreates},
		{"FiftyCountWithoutLoss", fiftyCount},
	}
}

func absentCreates(t *testing.T, s store.Store) {
	put(t, s, "a", "1", store.Absent)
	_, err := s.Put(context.Background(), "a", []byte("2"), store.Absent)
	require.ErrorIs(t, err, octo.ErrConflict)
	require.Equal(t, "1", string(get(t, s, "a").Value))
}

func anyWrites(t *testing.T, s store.Store) {
	first := put(t, s, "a", "1", store.Any)
	second := put(t, s, "a", "2", store.Any)
	require.NotEqual(t, first, second)
	require.Equal(t, "2", string(get(t, s, "a").Value))
}

func othersMatch(t *testing.T, s store.Store) {
	ctx := context.Background()
	first := put(t, s, "a", "1", store.Absent)
	other := put(t, s, "b", "1", store.Absent)
	second := put(t, s, "a", "2", first)
	for _, stale := range []store.Version{first, other, second + 1000} {
		_, err := s.Put(ctx, "a", []byte("3"), stale)
		require.ErrorIs(t, err, octo.ErrConflict, "version %d", stale)
	}
	_, err := s.Put(ctx, "missing", []byte("3"), second)
	require.ErrorIs(t, err, octo.ErrConflict)
	requireGone(t, s, "missing")
	e := get(t, s, "a")
	require.Equal(t, "2", string(e.Value))
	require.Equal(t, second, e.Version)
}

func deleteExpects(t *testing.T, s store.Store) {
	ctx := context.Background()
	first := put(t, s, "a", "1", store.Absent)
	second := put(t, s, "a", "2", first)
	require.ErrorIs(t, s.Delete(ctx, "a", first), octo.ErrConflict)
	require.ErrorIs(t, s.Delete(ctx, "a", store.Absent), octo.ErrConflict)
	get(t, s, "a")
	require.NoError(t, s.Delete(ctx, "a", second))
	requireGone(t, s, "a")
	require.ErrorIs(t, s.Delete(ctx, "a", second), octo.ErrNotFound)
	require.NoError(t, s.Delete(ctx, "a", store.Any))

	put(t, s, "a", "3", store.Absent)
	require.NoError(t, s.Delete(ctx, "a", store.Any))
	requireGone(t, s, "a")
}

func neverUsedAgain(t *testing.T, s store.Store) {
	ctx, seen := context.Background(), map[store.Version]bool{}
	for i := range 10 {
		v := put(t, s, "a", strconv.Itoa(i), store.Absent)
		require.False(t, seen[v], "version %d came back", v)
		seen[v] = true
		require.NoError(t, s.Delete(ctx, "a", v))
		for old := range seen {
			_, err := s.Put(ctx, "a", []byte("x"), old)
			require.ErrorIs(t, err, octo.ErrConflict)
		}
	}
}

const writers = 50

// atOnce runs f in as many goroutines as there are writers and waits for them.
func atOnce(f func(i int)) {
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func oneCreates(t *testing.T, s store.Store) {
	for round := range 5 {
		key := fmt.Sprintf("round/%d", round)
		errs, versions := make([]error, writers), make([]store.Version, writers)
		atOnce(func(i int) {
			versions[i], errs[i] = s.Put(context.Background(), key, []byte(strconv.Itoa(i)), store.Absent)
		})
		winner := -1
		for i, err := range errs {
			if err == nil {
				require.Equal(t, -1, winner, "both %d and %d created %s", winner, i, key)
				winner = i
				continue
			}
			require.ErrorIs(t, err, octo.ErrConflict)
		}
		require.NotEqual(t, -1, winner, "nobody created %s", key)
		e := get(t, s, key)
		require.Equal(t, strconv.Itoa(winner), string(e.Value))
		require.Equal(t, versions[winner], e.Version)
	}
}

func fiftyCount(t *testing.T, s store.Store) {
	put(t, s, "counter", "0", store.Absent)
	errs := make([]error, writers)
	atOnce(func(i int) { errs[i] = count(s, "counter") })
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, strconv.Itoa(writers), string(get(t, s, "counter").Value))
}

// count adds one to the number under key, however often others are faster.
func count(s store.Store, key string) error {
	for {
		e, err := s.Get(context.Background(), key)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(e.Value))
		if err != nil {
			return err
		}
		_, err = s.Put(context.Background(), key, []byte(strconv.Itoa(n+1)), e.Version)
		if !errors.Is(err, octo.ErrConflict) {
			return err
		}
	}
}
