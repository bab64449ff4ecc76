package reap_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// config writes version n of an app's configuration.
func (w *world) config(app octo.Name, n, size int) {
	value := bytes.Repeat([]byte("x"), size)
	_, err := w.store.Put(w.t.Context(), store.AppConfigPrefix(app)+store.ConfigName(n), value, store.Absent)
	require.NoError(w.t, err)
}

func (w *world) configs(app octo.Name) []string {
	prefix := store.AppConfigPrefix(app)
	entries, err := w.store.List(context.Background(), prefix)
	require.NoError(w.t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Key[len(prefix):])
	}
	return names
}

func (w *world) configsBecome(app octo.Name, want ...int) {
	names := []string{}
	for _, n := range want {
		names = append(names, store.ConfigName(n))
	}
	w.t.Helper()
	require.Eventually(w.t, func() bool { return slices.Equal(w.configs(app), names) }, 5*time.Second, 5*time.Millisecond, "%v", w.configs(app))
}

func TestReaper_KeepsConfigurationsThatAreUsedAndTheLastOnes(t *testing.T) {
	w := newWorld(t)
	docs := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
	for n, r := range map[int]octo.Release{
		1: {Settings: octo.Settings{Config: 2}},
		2: {Settings: octo.Settings{Config: 5}, Before: &octo.Settings{Config: 4}},
	} {
		r.App, r.Number, r.Outcome = "hello", n, octo.Live
		_, err := docs.Create(t.Context(), store.ReleaseName("hello", n), r)
		require.NoError(t, err)
	}
	for n := 1; n <= 60; n++ {
		w.config("hello", n, 1)
	}
	w.config("hello-2", 1, 1)
	w.put(octo.App{Name: "hello", Release: 2, Live: 2, Last: 2, Settings: octo.Settings{Config: 7}})
	want := []int{2, 4, 5, 7}
	for n := 11; n <= 60; n++ {
		want = append(want, n)
	}
	w.configsBecome("hello", want...)
	require.Len(t, w.configs("hello-2"), 1)
}

func TestReaper_KeepsLessOfLargeConfigurations(t *testing.T) {
	w := newWorld(t)
	for n := 1; n <= 6; n++ {
		w.config("hello", n, 400<<10)
	}
	w.release("hello", 1)
	w.put(octo.App{Name: "hello", Release: 1, Live: 1, Last: 1, Settings: octo.Settings{Config: 3}})
	w.configsBecome("hello", 3, 5, 6)
}

func TestReaper_BuriesConfigurationsWithTheirApp(t *testing.T) {
	w := newWorld(t)
	w.config("hello", 1, 1)
	w.config("hello", 2, 1)
	w.config("hello2", 1, 1)
	w.put(octo.App{Name: "hello", Destroying: true})
	w.configsBecome("hello")
	w.configsBecome("hello2", 1)
}
