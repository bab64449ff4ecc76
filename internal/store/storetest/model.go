package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func modelCases() []testCase {
	return []testCase{{"DoesWhatASimpleModelDoes", likeTheModel}}
}

// likeTheModel does random things to a store and to a map, and compares. Each run
// has a prefix of its own, so that one store serves them all.
func likeTheModel(t *testing.T, s store.Store) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &model{store: s, prefix: fmt.Sprintf("run/%d/", run), entries: map[string]*modelEntry{}, used: map[store.Version]bool{}}
		defer m.close()
		for i := range m.leases {
			m.renew(rt, i)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.put, "delete": m.delete, "hold": m.hold, "end": m.end, "": m.check,
		})
	})
}

// model says what a store holds below its prefix.
type model struct {
	store   store.Store
	prefix  string
	entries map[string]*modelEntry
	used    map[store.Version]bool // every version that was seen
	leases  [2]store.Lease
	n       int // values given out
}

// modelEntry is an entry of the model; lease is -1 for a durable one.
type modelEntry struct {
	value   string
	version store.Version
	lease   int
}

// entry returns what key has, or that it is absent.
func (m *model) entry(key string) modelEntry {
	if e := m.entries[key]; e != nil {
		return *e
	}
	return modelEntry{lease: -1}
}

func (m *model) key(rt *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "a/b", "ab", "b"}).Draw(rt, "key")
}

func (m *model) value() string {
	m.n++
	return strconv.Itoa(m.n)
}

// expect draws a version to expect: often the right one.
func (m *model) expect(rt *rapid.T, key string) store.Version {
	known := append(slices.Sorted(maps.Keys(m.used)), store.Absent)
	return rapid.OneOf(
		rapid.Just(m.entry(key).version), rapid.Just(store.Any), rapid.SampledFrom(known),
	).Draw(rt, "expect")
}

// note stores what a write has led to.
func (m *model) note(rt *rapid.T, key, value string, version store.Version, lease int) {
	require.False(rt, m.used[version], "version %d came back", version)
	m.used[version] = true
	m.entries[key] = &modelEntry{value: value, version: version, lease: lease}
}

func (m *model) put(rt *rapid.T) {
	key, value := m.key(rt), m.value()
	expect, now := m.expect(rt, key), m.entry(key)
	version, err := m.store.Put(context.Background(), key, []byte(value), expect)
	if now.lease >= 0 || expect != store.Any && expect != now.version {
		require.ErrorIs(rt, err, octo.ErrConflict)
		return
	}
	require.NoError(rt, err)
	m.note(rt, key, value, version, -1)
}

func (m *model) delete(rt *rapid.T) {
	key := m.key(rt)
	expect, now := m.expect(rt, key), m.entry(key)
	err := m.store.Delete(context.Background(), key, expect)
	switch {
	case now.lease >= 0:
		require.ErrorIs(rt, err, octo.ErrConflict)
	case expect == store.Any:
		require.NoError(rt, err)
	case now.version == store.Absent:
		require.ErrorIs(rt, err, octo.ErrNotFound)
	case expect != now.version:
		require.ErrorIs(rt, err, octo.ErrConflict)
	default:
		require.NoError(rt, err)
	}
	if err == nil {
		delete(m.entries, key)
	}
}

func (m *model) hold(rt *rapid.T) {
	i := rapid.IntRange(0, len(m.leases)-1).Draw(rt, "lease")
	key, value := m.key(rt), m.value()
	now := m.entry(key)
	if now.version != store.Absent && now.lease != i {
		require.ErrorIs(rt, m.leases[i].Hold(context.Background(), key, []byte(value)), octo.ErrConflict)
		return
	}
	requireHeldSoon(rt, m.leases[i], key, value)
	m.note(rt, key, value, get(rt, m.store, key).Version, i)
}

// end ends a lease and starts another in its place.
func (m *model) end(rt *rapid.T) {
	i := rapid.IntRange(0, len(m.leases)-1).Draw(rt, "lease")
	require.NoError(rt, m.leases[i].Close())
	maps.DeleteFunc(m.entries, func(_ string, e *modelEntry) bool { return e.lease == i })
	m.renew(rt, i)
}

func (m *model) renew(rt *rapid.T, i int) {
	l, err := m.store.Lease(context.Background(), ttl)
	require.NoError(rt, err)
	m.leases[i] = l
}

// check compares everything that can be read.
func (m *model) check(rt *rapid.T) {
	var want []store.Entry
	for _, key := range slices.Sorted(maps.Keys(m.entries)) {
		e := m.entries[key]
		want = append(want, store.Entry{Key: key, Value: []byte(e.value), Version: e.version})
		require.Equal(rt, want[len(want)-1], get(rt, m.store, key))
	}
	for _, prefix := range []string{m.prefix, m.prefix + "a/"} {
		below := slices.DeleteFunc(slices.Clone(want), func(e store.Entry) bool { return len(e.Key) < len(prefix) || e.Key[:len(prefix)] != prefix })
		got, err := m.store.List(context.Background(), prefix)
		require.NoError(rt, err)
		require.ElementsMatch(rt, below, got)
		require.True(rt, slices.IsSortedFunc(got, func(a, b store.Entry) int { return compareKeys(a.Key, b.Key) }))
		for got, err := range m.store.Watch(context.Background(), prefix) {
			require.NoError(rt, err)
			require.ElementsMatch(rt, below, got)
			break
		}
	}
}

func compareKeys(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// close gives the leases back, so that runs do not pile them up.
func (m *model) close() {
	for _, l := range m.leases {
		if l != nil {
			_ = l.Close() // the run is over
		}
	}
}
