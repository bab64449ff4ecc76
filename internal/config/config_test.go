package config_test

import (
	"bytes"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/config"
	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/secret"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

func versions(t *testing.T) *config.Versions {
	dir := t.TempDir()
	s, err := bolt.Open(filepath.Join(dir, "octo.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &config.Versions{Store: s, Sealer: secret.New(secret.Config{Store: s, Node: "a", File: filepath.Join(dir, "node.key")})}
}

// awkward values are those that lesser encodings lose.
func awkward() octo.Config {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	return octo.Config{
		"QUOTED": octo.ConfigValue(`a"b\c  d:1:2:3:4:5:6:7:8:9:10`),
		"PEM":    octo.ConfigValue("-----BEGIN KEY-----\nMIIB\r\n=\n-----END KEY-----\n"),
		"UTF8":   octo.ConfigValue("Grüße, 世界 👋"),
		"EMPTY":  {},
		"BINARY": every,
		"BIG":    bytes.Repeat([]byte("0123456789abcdef"), 256<<10/16),
	}
}

func TestVersions_KeepWhatTheyAreGiven(t *testing.T) {
	v, ctx := versions(t), t.Context()
	none, err := v.Read(ctx, "hello", 0)
	require.NoError(t, err)
	require.Empty(t, none)

	n, err := v.Add(ctx, octo.ConfigDraft{App: "hello", Author: "ann", Description: "Set things", Values: awkward()})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	got, err := v.Read(ctx, "hello", 1)
	require.NoError(t, err)
	require.Equal(t, awkward(), got)

	full := octo.Config{"A": make([]byte, octo.MaxConfig-1)}
	n, err = v.Add(ctx, octo.ConfigDraft{App: "hello", Author: strings.Repeat("a", 39), Description: strings.Repeat("d", 1000), Values: full})
	require.NoError(t, err, "all that is allowed fits into the store")
	require.Equal(t, 2, n)
	_, err = v.Add(ctx, octo.ConfigDraft{App: "hello", Values: octo.Config{"A": make([]byte, octo.MaxConfig)}})
	require.ErrorIs(t, err, octo.ErrInvalid)

	n, err = v.Add(ctx, octo.ConfigDraft{App: "hello-2", Author: "bob", Values: octo.Config{}})
	require.NoError(t, err)
	require.Equal(t, 1, n, "each app has its own numbers")
	list, err := v.List(ctx, "hello")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, 1, list[0].Number)
	require.Equal(t, "ann", list[0].Author)
	require.Equal(t, "Set things", list[0].Description)
	_, err = v.Read(ctx, "hello", 3)
	require.ErrorIs(t, err, octo.ErrNotFound)
}

// A version that lies where another belongs does not open.
func TestVersions_CannotBeSwapped(t *testing.T) {
	v, ctx := versions(t), t.Context()
	for _, app := range []octo.Name{"hello", "hello", "other"} {
		_, err := v.Add(ctx, octo.ConfigDraft{App: app, Values: octo.Config{"A": octo.ConfigValue(app)}})
		require.NoError(t, err)
	}
	one, err := v.Store.Get(ctx, "config/hello/00000001")
	require.NoError(t, err)
	for app, n := range map[octo.Name]int{"hello": 2, "other": 1} {
		_, err := v.Store.Put(ctx, store.AppConfigPrefix(app)+store.ConfigName(n), one.Value, store.Any)
		require.NoError(t, err)
		_, err = v.Read(ctx, app, n)
		require.ErrorIs(t, err, octo.ErrInvalid, "%s", app)
	}
}

func TestVersions_NumbersOfManyAtOnceDiffer(t *testing.T) {
	v := versions(t)
	numbers := make(chan int)
	const many = 20
	for range many {
		go func() { // ends with its one version, which is received below
			n, err := v.Add(context.Background(), octo.ConfigDraft{App: "hello", Values: octo.Config{}})
			if err != nil {
				n = -1
			}
			numbers <- n
		}()
	}
	var got []int
	for range many {
		got = append(got, <-numbers)
	}
	slices.Sort(got)
	for i := range many {
		require.Equal(t, i+1, got[i])
	}
}

func TestVersions_Environment(t *testing.T) {
	v, ctx := versions(t), t.Context()
	n, err := v.Add(ctx, octo.ConfigDraft{App: "hello", Values: awkward()})
	require.NoError(t, err)
	env, files, err := v.Environment(ctx, octo.Release{App: "hello", Settings: octo.Settings{Config: n}})
	require.NoError(t, err)
	want := awkward()
	require.Equal(t, []string{
		"BIG_FILE=/run/octohost/config/BIG", "BINARY_FILE=/run/octohost/config/BINARY", "EMPTY=",
		"PEM=" + string(want["PEM"]), "QUOTED=" + string(want["QUOTED"]), "UTF8=" + string(want["UTF8"]),
	}, env)
	require.Equal(t, []engine.File{
		{Path: "/run/octohost/config/BIG", Content: want["BIG"]}, {Path: "/run/octohost/config/BINARY", Content: want["BINARY"]},
	}, files)

	env, files, err = v.Environment(ctx, octo.Release{App: "hello"})
	require.NoError(t, err)
	require.Empty(t, env)
	require.Empty(t, files)

	some, err := v.Some(ctx, "hello", n, []string{"UTF8", "NOPE"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"UTF8": want["UTF8"]}, some)
}

func TestVersions_Ensure(t *testing.T) {
	v, ctx := versions(t), t.Context()
	app, who := octo.App{Name: "hello"}, "ann"
	defaults := map[string]octo.ConfigDefault{
		"A": {Value: "a"}, "B": {Value: "b"}, "SECRET": {Generate: true}, "OPTIONAL": {}, "PORT": {Value: "1"},
	}
	var err error
	app.Config, err = v.Add(ctx, octo.ConfigDraft{App: "hello", Values: octo.Config{"A": octo.ConfigValue("mine"), "C": {}}})
	require.NoError(t, err)
	n, err := v.Ensure(ctx, app, who, defaults)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	got, err := v.Read(ctx, "hello", n)
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B", "C", "SECRET"}, slices.Sorted(maps.Keys(got)))
	require.Equal(t, "mine", string(got["A"]))
	require.Equal(t, "b", string(got["B"]))
	require.Regexp(t, "^[0-9a-f]{64}$", string(got["SECRET"]))
	list, err := v.List(ctx, "hello")
	require.NoError(t, err)
	require.Equal(t, "Set B, SECRET (app.json)", list[1].Description)
	require.Equal(t, who, list[1].Author)

	app.Config = n
	again, err := v.Ensure(ctx, app, who, defaults)
	require.NoError(t, err)
	require.Equal(t, n, again, "nothing is missing")

	_, err = v.Ensure(ctx, app, who, map[string]octo.ConfigDefault{"X": {Required: true}, "Y": {Required: true}, "B": {Required: true}})
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "X, Y, which nobody has set; octo config:set -a hello X=… Y=…")
}
