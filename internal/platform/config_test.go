package platform_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/config"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/secret"
	"github.com/octohost/octohost/internal/store"
)

// changer is a Deployer whose releases are live at once, unless it fails.
type changer struct {
	w           *world
	meanwhile   func() // somebody else, between the first edit and the write
	fail        error  // instead of a release
	description string // of the last change
}

func (c *changer) Rollback(context.Context, octo.Identity, octo.Name, int, io.Writer) error {
	return nil
}

func (c *changer) Change(ctx context.Context, change octo.Change, _ io.Writer) error {
	c.description = change.Description
	apps := store.Docs[octo.App]{Store: c.w.store, Prefix: store.AppsPrefix}
	_, err := apps.Update(ctx, string(change.App), func(a *octo.App) error {
		settings, err := change.Edit(ctx, *a)
		if err != nil {
			return err
		}
		if settings.Equal(a.Settings) {
			return store.ErrUnchanged
		}
		if other := c.meanwhile; other != nil {
			c.meanwhile = nil
			other()
		}
		if c.fail != nil {
			return c.fail
		}
		if a.Settings = settings; change.Stage || a.Release == 0 {
			return nil
		}
		a.Release++
		return c.w.release(*a)
	})
	return err
}

func (w *world) release(a octo.App) error {
	docs := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
	_, err := docs.Create(w.t.Context(), store.ReleaseName(a.Name, a.Release), octo.Release{App: a.Name, Number: a.Release, Settings: a.Settings})
	return err
}

func newConfigWorld(t *testing.T) (*world, *changer) {
	w := newWorld(t)
	d := &changer{w: w}
	w.Deployer = d
	w.Configs = &config.Versions{Store: w.store, Sealer: secret.New(secret.Config{Store: w.store, Node: "a", File: filepath.Join(t.TempDir(), "node.key")})}
	w.create(ann, "hello")
	return w, d
}

// deploy makes the app's first release.
func (w *world) deploy() {
	w.t.Helper()
	apps := store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
	a, err := apps.Update(w.t.Context(), "hello", func(a *octo.App) error { a.Release = 1; return nil })
	require.NoError(w.t, err)
	require.NoError(w.t, w.release(a))
}

func (w *world) set(edit octo.ConfigEdit) (octo.ConfigResult, error) {
	return w.ChangeConfig(w.t.Context(), ann, "hello", edit, &bytes.Buffer{})
}

func values(pairs ...string) octo.Config {
	c := octo.Config{}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = octo.ConfigValue(pairs[i+1])
	}
	return c
}

func (w *world) now(ref octo.ConfigRef) octo.Config {
	w.t.Helper()
	view, err := w.AppConfig(w.t.Context(), "hello", ref, true)
	require.NoError(w.t, err)
	return view.Config()
}

func TestConfig_ChangesMakeVersionsOfReleases(t *testing.T) {
	w, d := newConfigWorld(t)
	result, err := w.set(octo.ConfigEdit{Set: values("A", "1", "B", "2")})
	require.NoError(t, err)
	require.Equal(t, octo.ConfigResult{Version: 1, Set: []string{"A", "B"}}, result)
	w.deploy()
	result, err = w.set(octo.ConfigEdit{Set: values("A", "1"), Unset: []string{"NOPE"}})
	require.NoError(t, err)
	require.Equal(t, octo.ConfigResult{Version: 1}, result, "nothing has changed")

	result, err = w.set(octo.ConfigEdit{Set: values("C", "3"), Unset: []string{"B"}, Stage: true})
	require.NoError(t, err)
	require.Equal(t, octo.ConfigResult{Version: 2, Set: []string{"C"}, Unset: []string{"B"}}, result)
	require.Equal(t, values("A", "1", "C", "3"), w.now(octo.ConfigRef{}))
	require.Equal(t, values("A", "1", "B", "2"), w.now(octo.ConfigRef{Release: 1}))
	view, err := w.AppConfig(t.Context(), "hello", octo.ConfigRef{}, false)
	require.NoError(t, err)
	require.True(t, view.Staged)
	require.Equal(t, []octo.ConfigVar{{Name: "A", Size: 1}, {Name: "C", Size: 1}}, view.Vars, "no values")

	_, err = w.set(octo.ConfigEdit{Set: values("D", "4")})
	require.NoError(t, err)
	require.Equal(t, "Set C, D; unset B", d.description, "the release brings what was staged, too")
	diff, err := w.ConfigDiff(t.Context(), "hello", octo.ConfigRef{Release: 1}, octo.ConfigRef{})
	require.NoError(t, err)
	require.Equal(t, []octo.ConfigDiff{{Name: "B", Change: octo.ConfigRemoved}, {Name: "C", Change: octo.ConfigAdded}, {Name: "D", Change: octo.ConfigAdded}}, diff)

	history, err := w.ConfigHistory(t.Context(), "hello")
	require.NoError(t, err)
	require.Len(t, history, 3)
	require.Equal(t, []int{3, 2, 1}, []int{history[0].Number, history[1].Number, history[2].Number})
	require.True(t, history[0].Current)
	require.Equal(t, []int{1}, history[2].Releases)
	require.Empty(t, history[1].Releases)
	require.Equal(t, "Set D", history[0].Description)
	require.Equal(t, "ann", history[0].Author)
}

func TestConfig_WhatFailsLeavesNothing(t *testing.T) {
	w, d := newConfigWorld(t)
	d.fail = octo.Errorf(octo.ErrInvalid, "no")
	_, err := w.set(octo.ConfigEdit{Set: values("A", "1")})
	require.ErrorContains(t, err, "no")
	history, err := w.ConfigHistory(t.Context(), "hello")
	require.NoError(t, err)
	require.Empty(t, history)

	d.fail = nil
	base := 7
	_, err = w.set(octo.ConfigEdit{Set: values("A", "1"), Base: &base})
	require.ErrorIs(t, err, octo.ErrConflict)
	_, err = w.set(octo.ConfigEdit{Set: values("PORT", "1")})
	require.ErrorIs(t, err, octo.ErrInvalid)
	_, err = w.ChangeConfig(t.Context(), ann, "none", octo.ConfigEdit{}, &bytes.Buffer{})
	require.ErrorIs(t, err, octo.ErrNotFound)
	_, err = w.AppConfig(t.Context(), "hello", octo.ConfigRef{Release: 9}, false)
	require.ErrorIs(t, err, octo.ErrNotFound)
}

// Two who change at the same moment both get what they want.
func TestConfig_ChangesAtOnce(t *testing.T) {
	w, d := newConfigWorld(t)
	d.meanwhile = func() {
		_, err := w.set(octo.ConfigEdit{Set: values("B", "2")})
		require.NoError(t, err)
	}
	_, err := w.set(octo.ConfigEdit{Set: values("A", "1")})
	require.NoError(t, err)
	require.Equal(t, values("A", "1", "B", "2"), w.now(octo.ConfigRef{}))
	history, err := w.ConfigHistory(t.Context(), "hello")
	require.NoError(t, err)
	require.Len(t, history, 2, "what was made on the old one is gone")
}
