// Package storetest is the contract of store.Store as tests: Run passes for every
// implementation. It asks only for what the interface promises, so it does not say
// how fast things happen, nor how often a watch yields.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// patience is how long anything may take before it counts as never happening.
const patience = 20 * time.Second

// ttl is long enough that no lease is lost because the machine is busy.
const ttl = 30 * time.Second

// Run tests a store. Each call of open returns an empty one, which ends with its
// test.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Entries", entryCases()},
		{"Versions", versionCases()},
		{"Watch", watchCases()},
		{"Lease", leaseCases()},
		{"Model", modelCases()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
			}
		})
	}
}

// testCase is one promise of the interface.
type testCase struct {
	name string
	run  func(t *testing.T, s store.Store)
}

// put writes what must be possible to write.
func put(t require.TestingT, s store.Store, key, value string, expect store.Version) store.Version {
	v, err := s.Put(context.Background(), key, []byte(value), expect)
	require.NoError(t, err, "put %s", key)
	require.NotEqual(t, store.Absent, v)
	require.NotEqual(t, store.Any, v)
	return v
}

// get reads what must be there.
func get(t require.TestingT, s store.Store, key string) store.Entry {
	e, err := s.Get(context.Background(), key)
	require.NoError(t, err, "get %s", key)
	require.Equal(t, key, e.Key)
	return e
}

// requireGone fails unless key does not exist.
func requireGone(t require.TestingT, s store.Store, key string) {
	_, err := s.Get(context.Background(), key)
	require.ErrorIs(t, err, octo.ErrNotFound, "get %s", key)
}

// list returns what is below prefix as key=value.
func list(t require.TestingT, s store.Store, prefix string) []string {
	entries, err := s.List(context.Background(), prefix)
	require.NoError(t, err, "list %s", prefix)
	return pairs(entries)
}

// pairs returns entries as key=value, in their order, and never nil.
func pairs(entries []store.Entry) []string {
	lines := []string{}
	for _, e := range entries {
		lines = append(lines, e.Key+"="+string(e.Value))
	}
	return lines
}
