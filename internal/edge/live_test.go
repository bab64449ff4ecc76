package edge_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// crowded is a world with n sites, each with a name of its own.
func crowded(t testing.TB, n int) *world {
	apps := make([]octo.App, n)
	for i := range apps {
		apps[i] = octo.App{Name: octo.Name(fmt.Sprintf("app%d", i)), Owner: "ann"}
	}
	w := newWorld(t, apps...)
	var g errgroup.Group
	g.SetLimit(64)
	for i := range apps {
		g.Go(func() error {
			host := fmt.Sprintf("www.site%d.example", i)
			_, err := w.docs().Create(context.Background(), host, octo.Domain{Host: host, App: apps[i].Name, Kind: octo.DomainServe})
			return err
		})
	}
	require.NoError(t, g.Wait())
	last := apps[n-1].Name
	require.NoError(t, w.proxy.WaitRoute(t.Context(), last, func(r octo.Route, ok bool) bool { return ok && len(r.Hosts) == 2 }))
	require.NoError(t, w.add(ann, "app0", "warm.example.com"))
	return w
}

// What a command changes is live when it returns, costs one document of the routing
// table, and takes as long among ten thousand sites as among ten.
func TestLive_AtOnceAmongTenThousandSites(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand sites take a while to make")
	}
	for _, n := range []int{10, 10_000} {
		w := crowded(t, n)
		routes := func() map[string]store.Version {
			list, err := w.store.List(t.Context(), store.RoutesPrefix)
			require.NoError(t, err)
			versions := map[string]store.Version{}
			for _, e := range list {
				versions[e.Key] = e.Version
			}
			return versions
		}
		var commands, visits []time.Duration
		for i := range 20 {
			app, host := octo.Name(fmt.Sprintf("app%d", i%n)), fmt.Sprintf("new%d.example.com", i)
			before, began := routes(), time.Now()
			require.NoError(t, w.add(ann, app, host))
			returned := time.Now()
			_, p := w.get(host)
			commands, visits = append(commands, returned.Sub(began)), append(visits, time.Since(returned))
			require.Equal(t, app, p.App, "the first request after the command finds the app")
			touched := 0
			for key, version := range routes() {
				if before[key] != version {
					touched++
				}
			}
			require.Equal(t, 1, touched, "documents of the routing table that were written")
		}
		slices.Sort(commands)
		slices.Sort(visits)
		t.Logf("%d sites: domains:add takes %v, the first request after it %v (medians)", n, commands[10].Round(10*time.Microsecond), visits[10].Round(10*time.Microsecond))
	}
}
