package platform_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// released writes a release that app hello wants.
func (w *world) released(n int, r octo.Release) {
	r.App, r.Number = "hello", n
	releases := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
	_, err := releases.Create(w.t.Context(), store.ReleaseName("hello", n), r)
	require.NoError(w.t, err)
	apps := store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
	_, err = apps.Update(w.t.Context(), "hello", func(a *octo.App) error { a.Release, a.Last = n, n; return nil })
	require.NoError(w.t, err)
}

func TestChangeFormation(t *testing.T) {
	w := newWorld(t)
	c := &changer{w: w}
	w.Deployer = c
	w.create(ann, "hello")
	change := func(e octo.FormationEdit) error {
		return w.ChangeFormation(t.Context(), ann, "hello", e, io.Discard)
	}
	scale := func(process octo.Name, n int) octo.FormationEdit {
		return octo.FormationEdit{Scale: []octo.Scale{{Process: process, Count: n}}}
	}
	require.NoError(t, change(scale("web", 2)), "web is known before anything is pushed")
	require.ErrorContains(t, change(scale("worker", 2)), "hello has no process worker; it has: web")

	worker := octo.NewProcess("worker", 0)
	w.released(1, octo.Release{Declared: []octo.Process{octo.NewProcess("web", 5000), worker}})
	require.NoError(t, change(scale("worker", 2)))
	require.Equal(t, "Scale worker to 2", c.description)
	app, err := w.App(t.Context(), "hello")
	require.NoError(t, err)
	require.Equal(t, 2, *app.Formation["worker"].Count)
	require.ErrorIs(t, w.ChangeFormation(t.Context(), ann, "none", scale("web", 1), io.Discard), octo.ErrNotFound)
}

func TestProcesses(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	ps, err := w.Processes(t.Context(), "hello")
	require.NoError(t, err)
	require.Empty(t, ps)
	web := octo.NewProcess("web", 5000)
	web.Count = 3
	w.released(1, octo.Release{Declared: []octo.Process{web}, Processes: []octo.Process{web}})
	have := []octo.Instance{
		{App: "hello", Process: "web", Phase: octo.PhaseHealthy},
		{App: "hello", Process: "web", Phase: octo.PhaseStarting},
		{App: "hello", Process: "web", Phase: octo.PhaseDraining},
		{App: "other", Process: "web", Phase: octo.PhaseHealthy},
	}
	_, err = store.Docs[[]octo.Instance]{Store: w.store, Prefix: store.HavePrefix}.Replace(t.Context(), "n", have, store.Any)
	require.NoError(t, err)
	ps, err = w.Processes(t.Context(), "hello")
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 1}, []int{ps[0].Scale, ps[0].Running, ps[0].Healthy})
	_, err = w.Processes(t.Context(), "none")
	require.ErrorIs(t, err, octo.ErrNotFound)
}

func TestDiffReleases(t *testing.T) {
	w := newWorld(t)
	w.Commits = func(_ context.Context, app octo.Name, from, to string) ([]octo.Commit, bool, error) {
		return []octo.Commit{{Subject: string(app) + " " + from + " to " + to}}, from == "b", nil
	}
	w.create(ann, "hello")
	web := octo.NewProcess("web", 5000)
	w.released(1, octo.Release{Commit: "a", Processes: []octo.Process{web}})
	web.Count = 2
	w.released(2, octo.Release{Commit: "b", Processes: []octo.Process{web}, Tasks: []octo.Task{{Name: "release", Command: []string{"migrate"}}}})
	d, err := w.DiffReleases(t.Context(), "hello", 1, 2)
	require.NoError(t, err)
	require.Equal(t, "hello a to b", d.Added[0].Subject)
	require.Equal(t, "hello b to a", d.Removed[0].Subject)
	require.True(t, d.More)
	require.Equal(t, []octo.Difference{
		{Of: "release", What: "commit", Old: "a", New: "b"},
		{Of: "web", What: "count", Old: "1", New: "2"},
		{Of: "release", What: "command", Old: "none", New: "migrate"},
	}, d.Settings)
	_, err = w.DiffReleases(t.Context(), "hello", 1, 3)
	require.ErrorIs(t, err, octo.ErrNotFound)
}
