package store_test

import (
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func TestPrefixes_AreValidAndApart(t *testing.T) {
	prefixes := []string{
		store.AppsPrefix, store.ReleasesPrefix, store.WantPrefix, store.HavePrefix, store.NodesPrefix,
		store.RoutesPrefix, store.KeysPrefix, store.EventsPrefix, store.PagesPrefix,
	}
	for i, p := range prefixes {
		require.NoError(t, store.CheckPrefix(p))
		require.False(t, strings.HasPrefix(store.LeaderKey, p))
		for j, q := range prefixes {
			require.Equal(t, i == j, strings.HasPrefix(p, q), "%s and %s", p, q)
		}
	}
	require.NoError(t, store.CheckKey(store.LeaderKey))
}

func TestReleaseName_SortsAsItsNumber(t *testing.T) {
	last := ""
	for _, n := range []int{1, 2, 9, 10, 99, 100, 12345, 99999999} {
		name := store.ReleaseName("my-site", n)
		require.Greater(t, name, last)
		require.NoError(t, store.CheckKey(store.ReleasesPrefix+name))
		require.True(t, strings.HasPrefix(store.ReleasesPrefix+name, store.AppReleasesPrefix("my-site")))
		require.False(t, strings.HasPrefix(store.ReleasesPrefix+name, store.AppReleasesPrefix("my")))
		last = name
	}
}

func TestRouteShard_SpreadsAppsEvenly(t *testing.T) {
	shards := map[string]int{}
	const apps = 100 * store.RouteShards
	for i := range apps {
		app := octo.Name("app-" + strconv.Itoa(i))
		shard := store.RouteShard(app)
		require.Equal(t, shard, store.RouteShard(app))
		shards[shard]++
	}
	require.Len(t, shards, store.RouteShards)
	for shard, n := range shards {
		b, err := hex.DecodeString(shard)
		require.NoError(t, err)
		require.Len(t, b, 1)
		require.Less(t, n, 200, "shard %s", shard)
	}
}

func TestCheckKey_SaysWhichRuleIsBroken(t *testing.T) {
	for key, says := range map[string]string{
		"":                        "it is empty",
		"/a":                      "a part of it is empty",
		"a//b":                    "a part of it is empty",
		"a/":                      "a part of it is empty",
		"a/../b":                  "a part of it is ..",
		"a\tb":                    "it contains a control character",
		"\xc3":                    "it is not UTF-8",
		strings.Repeat("k", 1000): "it is too long",
	} {
		err := store.CheckKey(key)
		require.ErrorIs(t, err, octo.ErrInvalid)
		require.ErrorContains(t, err, says)
		require.Less(t, len(err.Error()), 200)
	}
	require.ErrorContains(t, store.CheckPrefix("apps"), "does not end in a slash")
	require.ErrorContains(t, store.CheckPrefix("/"), "it is empty")
}

// FuzzCheckKey: what passes is safe to put into a URL's path and a line of a log.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"apps/a", "", "/", "a//b", "a/../b", "\x00", "\xff", "ä/ö"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if store.CheckKey(key) != nil {
			return
		}
		require.NotContains(t, "/"+key+"/", "//")
		require.NotContains(t, "/"+key+"/", "/../")
		require.NotContains(t, key, "\n")
		require.LessOrEqual(t, len(key), store.MaxKey)
		require.NoError(t, store.CheckPrefix(key+"/"))
	})
}
