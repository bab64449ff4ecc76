package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// BenchmarkDomain gives apps names, among so many apps: from the write that the command
// makes until the route is written that the proxy takes.
func BenchmarkDomain(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("apps=%d", n), func(b *testing.B) {
			w := busyWorld(b, n)
			written := w.written()
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				app := octo.Name(fmt.Sprintf("app%d", i%n))
				host := fmt.Sprintf("www%d.example.org", i)
				_, err := w.domains().Create(context.Background(), host, octo.Domain{Host: host, App: app, Kind: octo.DomainServe})
				require.NoError(b, err)
				began := time.Now()
				require.Equal(b, store.RouteShard(app), <-written)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms-to-route")
			b.ReportMetric(float64(took[len(took)*9/10].Microseconds())/1000, "p90-ms-to-route")
		})
	}
}

// busyWorld is a world with n apps that run, each with a name of its own.
func busyWorld(tb testing.TB, n int) *world {
	w := stillWorld(tb)
	ctx := context.Background()
	var g errgroup.Group
	g.SetLimit(64) // the store writes at once what waits
	for i := range n {
		g.Go(func() error {
			app := octo.Name(fmt.Sprintf("app%d", i))
			r := octo.Release{App: app, Number: 1, Outcome: octo.Live, Processes: []octo.Process{octo.NewProcess(octo.Web, 5000)}}
			_, err := w.releases().Create(ctx, store.ReleaseName(app, 1), r)
			_, err2 := w.apps().Create(ctx, string(app), octo.App{Name: app, Owner: "ann", Release: 1, Live: 1, Last: 1})
			host := string(app) + ".example.net"
			_, err3 := w.domains().Create(ctx, host, octo.Domain{Host: host, App: app, Kind: octo.DomainServe})
			return errors.Join(err, err2, err3)
		})
	}
	require.NoError(tb, g.Wait())
	for i := range n / 1000 { // the document of one node holds some thousand instances
		w.join(fmt.Sprintf("n%d", i+2))
	}
	w.lead()
	go w.obey() // ends with the store
	return w
}

func (w *world) domains() store.Docs[octo.Domain] {
	return store.Docs[octo.Domain]{Store: w.store, Prefix: store.DomainsPrefix}
}

// written tells which shards of the routing table are written, once nothing has been
// for a while.
func (w *world) written() <-chan string {
	told, seen := make(chan string, 1000), map[string]store.Version{}
	go func() { // ends with the store
		for entries := range w.store.Watch(context.Background(), store.RoutesPrefix) {
			for _, e := range entries {
				if seen[e.Key] == e.Version {
					continue
				}
				seen[e.Key] = e.Version
				told <- strings.TrimPrefix(e.Key, store.RoutesPrefix)
			}
		}
	}()
	for {
		select {
		case <-told:
		case <-time.After(3 * time.Second):
			return told
		}
	}
}
