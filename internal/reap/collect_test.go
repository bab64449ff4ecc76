package reap_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/reap"
	"github.com/octohost/octohost/internal/store"
)

// collect returns what was removed, or would be, as "kind app name".
func (w *world) collect(c octo.Collection) []string {
	w.t.Helper()
	list, err := w.Collect(w.t.Context(), c)
	require.NoError(w.t, err)
	names := []string{}
	for _, g := range list {
		names = append(names, strings.Join([]string{string(g.Kind), string(g.App), g.Name, g.Error}, " "))
	}
	slices.Sort(names)
	return names
}

func TestCollect_FindsWhatNobodyNeeds(t *testing.T) {
	w := newWorld(t)
	w.deploy.RLock() // so that nothing goes by itself
	for n := 1; n <= 4; n++ {
		w.release("hello", n)
	}
	w.put(octo.App{Name: "hello", Release: 4, Live: 4, Last: 4})
	w.image("gone", "v1")
	w.engine.AddImage(engine.Image{Tags: []string{"other:v1"}, Labels: map[string]string{engine.LabelHost: "another octohost", engine.LabelApp: "gone"}})
	w.engine.AddImage(engine.Image{Tags: []string{"base:1"}})
	w.engine.AddImage(engine.Image{Tags: []string{"hello:stage"}, Labels: map[string]string{engine.LabelHost: "test", engine.LabelApp: "hello", engine.LabelCache: "stage"}})
	w.engine.SetBuildCache(3 << 30)
	keys := store.Docs[octo.Key]{Store: w.store, Prefix: store.KeysPrefix}
	for name, app := range map[string]octo.Name{"a": "gone", "b": "hello", "c": ""} {
		_, err := keys.Create(t.Context(), name, octo.Key{Fingerprint: name, App: app})
		require.NoError(t, err)
	}
	lost := w.container("lost", nil)
	w.container("instance", map[string]string{engine.LabelInstance: "hello.web.v4.1"})
	w.container("run", map[string]string{engine.LabelOneoff: "run"})

	want := []string{
		"build cache  of the engine ", "container  lost ", "image gone gone:v1 ", "image hello hello:v1 ", "image hello hello:v2 ", "key gone a ",
	}
	require.Equal(t, want, w.collect(octo.Collection{Dry: true}))
	require.Equal(t, want, w.collect(octo.Collection{Dry: true}), "nothing has gone")
	all := slices.Concat(want, []string{"image hello hello:stage ", "image hello hello:v3 "})
	slices.Sort(all)
	require.Equal(t, all, w.collect(octo.Collection{Dry: true, All: true}))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Collect(ctx, octo.Collection{})
	require.ErrorIs(t, err, octo.ErrUnavailable, "a deploy is at work")
	w.deploy.RUnlock()
	require.Equal(t, want, w.collect(octo.Collection{}))
	require.Empty(t, w.collect(octo.Collection{}))
	require.Len(t, w.images("hello"), 3, "v3, v4 and the stage")
	_, err = w.engine.Inspect(t.Context(), lost)
	require.ErrorIs(t, err, octo.ErrNotFound)
	size, err := w.engine.BuildCacheSize(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1<<30), size)
	w.collect(octo.Collection{All: true})
	require.Len(t, w.images("hello"), 1)
}

// container makes a container that has ended.
func (w *world) container(name string, labels map[string]string) string {
	w.t.Helper()
	all := map[string]string{engine.LabelHost: "test"}
	for k, v := range labels {
		all[k] = v
	}
	image := w.engine.AddImage(engine.Image{Tags: []string{"any:" + name}})
	c, err := w.engine.Start(w.t.Context(), engine.Spec{Name: name, Image: image, Command: []string{"/app"}, Labels: all})
	require.NoError(w.t, err)
	require.NoError(w.t, w.engine.Stop(w.t.Context(), c.ID, 0))
	return c.ID
}

// Of an app 500 releases are remembered, and what it needs.
func TestCollect_ForgetsReleases(t *testing.T) {
	w := newWorld(t)
	image := w.image("hello", "v1")
	const last = 520
	for n := 1; n <= last; n++ {
		w.rerelease("hello", n, image)
	}
	w.put(octo.App{Name: "hello", Release: last, Live: 7, Last: last})
	wants := store.Docs[[]octo.Assignment]{Store: w.store, Prefix: store.WantPrefix}
	_, err := wants.Create(t.Context(), "n1", []octo.Assignment{{App: "hello", Release: 9}, {App: "other", Release: 8}})
	require.NoError(t, err)
	require.Equal(t, []string{"releases hello v1 to v20 "}, w.collect(octo.Collection{}))
	left, err := store.Docs[octo.Release]{Store: w.store, Prefix: store.AppReleasesPrefix("hello")}.All(t.Context())
	require.NoError(t, err)
	require.Len(t, left, 502)
	require.Equal(t, 7, left[0].Value.Number, "it is live")
	require.Equal(t, 9, left[1].Value.Number, "an instance of it runs")
	require.Len(t, w.untagged, 18)
	require.Empty(t, w.collect(octo.Collection{}))
}

func TestRelieve_GoesAsFarAsItMust(t *testing.T) {
	for _, c := range []struct {
		spaces           []reap.Space
		images           int
		cache            int64
		removedSomething bool
	}{
		{[]reap.Space{reap.Roomy}, 3, 3 << 30, false},
		{[]reap.Space{reap.Tight, reap.Roomy}, 2, 1 << 30, true},
		{[]reap.Space{reap.Tight, reap.Tight}, 2, 0, true},
		{[]reap.Space{reap.Full, reap.Full, reap.Tight}, 2, 0, true},
		{[]reap.Space{reap.Full}, 1, 0, true},
	} {
		t.Run(fmt.Sprint(c.spaces), func(t *testing.T) {
			w := newWorld(t)
			w.deploy.RLock()
			for n := 1; n <= 3; n++ {
				w.release("hello", n)
			}
			w.put(octo.App{Name: "hello", Release: 3, Live: 3, Last: 3})
			w.engine.SetBuildCache(3 << 30)
			w.mu.Lock()
			w.spaces = c.spaces
			w.mu.Unlock()
			w.deploy.RUnlock() // now nothing but this wakes the reaper for a minute
			w.Relieve(t.Context())
			require.Len(t, w.images("hello"), c.images)
			size, err := w.engine.BuildCacheSize(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.cache, size)
			w.mu.Lock()
			defer w.mu.Unlock()
			require.Equal(t, c.removedSomething, slices.ContainsFunc(w.events, func(e octo.Event) bool { return e.Kind == octo.EventDiskLow }))
		})
	}
}
