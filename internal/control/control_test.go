package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/control"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// world is a store with a leader and one node that obeys.
type world struct {
	t     testing.TB
	store store.Store
	lease store.Lease
	end   func()
	sick  sync.Map // of octo.InstanceID: those that fail
}

func newWorld(t *testing.T) *world {
	w := stillWorld(t)
	w.lead()
	go w.obey() // ends with the store
	return w
}

// stillWorld is newWorld before anybody leads.
func stillWorld(t testing.TB) *world {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	w := &world{t: t, store: s}
	w.lease, err = s.Lease(t.Context(), time.Minute)
	require.NoError(t, err)
	w.join("n1")
	return w
}

// join adds a node without instances.
func (w *world) join(node string) {
	w.hold(store.NodesPrefix+node, octo.Node{Name: node})
	w.hold(store.HavePrefix+node, []octo.Instance{})
}

func (w *world) hold(key string, v any) {
	value, err := json.Marshal(v)
	require.NoError(w.t, err)
	require.NoError(w.t, w.lease.Hold(context.Background(), key, value))
}

// lead starts a leader; w.end ends it.
func (w *world) lead() {
	ready := make(chan struct{})
	close(ready)
	loop := control.New(control.Config{
		Node: "n1", Domain: "example.com", Store: w.store, Ready: ready,
		Record: func(octo.Event) {}, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loop.Run(ctx) }()
	w.end = func() { cancel(); require.NoError(w.t, <-done) }
	w.t.Cleanup(func() { cancel() })
}

// obey reports every assignment as healthy, or failed if it is sick, and drops what
// drains.
func (w *world) obey() {
	wants := store.Docs[[]octo.Assignment]{Store: w.store, Prefix: store.WantPrefix}
	for docs := range wants.Watch(context.Background()) {
		for _, d := range docs {
			value, err := json.Marshal(w.obeyed(d))
			if err != nil || w.lease.Hold(context.Background(), store.HavePrefix+d.Name, value) != nil {
				return // the store is closed
			}
		}
	}
}

func (w *world) obeyed(d store.Doc[[]octo.Assignment]) []octo.Instance {
	have := []octo.Instance{}
	for _, a := range d.Value {
		i := octo.Instance{ID: a.Instance, App: a.App, Release: a.Release, Process: a.Process, Node: d.Name, Phase: octo.PhaseHealthy}
		if _, sick := w.sick.Load(a.Instance); sick {
			i.Phase, i.Failure = octo.PhaseFailed, &octo.Failure{Kind: octo.FailedExit, Message: "it ended"}
		}
		if !a.Drain {
			have = append(have, i)
		}
	}
	return have
}

func (w *world) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
}

func (w *world) releases() store.Docs[octo.Release] {
	return store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
}

// release writes release n of hello, of code of its own, and makes the app want it.
func (w *world) release(n int) {
	ctx := w.t.Context()
	r := octo.Release{App: "hello", Number: n, Image: octo.Version(n), Processes: []octo.Process{octo.NewProcess(octo.Web, 5000)}}
	_, err := w.releases().Create(ctx, store.ReleaseName("hello", n), r)
	require.NoError(w.t, err)
	if n == 1 {
		_, err = w.apps().Create(ctx, "hello", octo.App{Name: "hello", Release: 1, Last: 1})
	} else {
		_, err = w.apps().Update(ctx, "hello", func(a *octo.App) error { a.Release, a.Last = n, n; return nil })
	}
	require.NoError(w.t, err)
}

func (w *world) eventually(ok func(octo.App, octo.Release) bool, n int) {
	require.Eventually(w.t, func() bool {
		a, errA := w.apps().Get(context.Background(), "hello")
		r, errR := w.releases().Get(context.Background(), store.ReleaseName("hello", n))
		return errA == nil && errR == nil && ok(a.Value, r.Value)
	}, 10*time.Second, 5*time.Millisecond)
}

func (w *world) backends() []octo.Backend {
	doc, err := store.Docs[[]octo.Route]{Store: w.store, Prefix: store.RoutesPrefix}.Get(w.t.Context(), store.RouteShard("hello"))
	require.NoError(w.t, err)
	return doc.Value[0].Backends
}

func TestLoop_RollsOutAndFallsBack(t *testing.T) {
	w := newWorld(t)
	w.release(1)
	w.eventually(func(a octo.App, r octo.Release) bool { return a.Live == 1 && r.Outcome == octo.Live }, 1)
	require.Equal(t, []octo.Backend{{Instance: "hello.web.v1.1", Node: "n1"}}, w.backends())

	w.sick.Store(octo.InstanceID("hello.web.v2.1"), true)
	w.release(2)
	w.eventually(func(a octo.App, r octo.Release) bool {
		return a.Release == 1 && r.Outcome == octo.Failed && r.Failure != nil && !r.Settled.IsZero()
	}, 2)
	require.Equal(t, []octo.Backend{{Instance: "hello.web.v1.1", Node: "n1"}}, w.backends())
}

func TestLoop_AdoptsWhatRunsTheSame(t *testing.T) {
	w := newWorld(t)
	w.release(1)
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Live == 1 }, 1)
	r, err := w.releases().Get(t.Context(), store.ReleaseName("hello", 1))
	require.NoError(t, err)
	next := octo.Release{App: "hello", Number: 2, Image: r.Value.Image, Processes: r.Value.Processes}
	next.Processes[0].Count = 2
	_, err = w.releases().Create(t.Context(), store.ReleaseName("hello", 2), next)
	require.NoError(t, err)
	_, err = w.apps().Update(t.Context(), "hello", func(a *octo.App) error { a.Release, a.Last = 2, 2; return nil })
	require.NoError(t, err)
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Live == 2 }, 2)
	require.Equal(t, []octo.Backend{{Instance: "hello.web.v1.1", Node: "n1"}, {Instance: "hello.web.v2.2", Node: "n1"}}, w.backends())
}

func TestLoop_ANewLeaderGoesOn(t *testing.T) {
	w := newWorld(t)
	w.release(1)
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Live == 1 }, 1)
	w.end()
	w.release(2)
	w.lead()
	w.eventually(func(a octo.App, r octo.Release) bool { return a.Live == 2 && r.Outcome == octo.Live }, 2)
	require.Equal(t, []octo.Backend{{Instance: "hello.web.v2.1", Node: "n1"}}, w.backends())
}

func TestLoop_FinishesAVerdictThatWasHalfWritten(t *testing.T) {
	w := newWorld(t)
	w.release(1)
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Live == 1 }, 1)
	w.end()
	w.release(2)
	_, err := w.releases().Update(t.Context(), store.ReleaseName("hello", 2), func(r *octo.Release) error {
		r.Outcome = octo.Failed // and died before the app was written
		return nil
	})
	require.NoError(t, err)
	w.lead()
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Release == 1 }, 2)
}

// What visitors meet in front of an app is written without asking the planner about all
// apps. A new leader, who asks it, finds nothing to change.
func TestLoop_FrontsAreAsThePlannerHasThem(t *testing.T) {
	w := newWorld(t)
	w.release(1)
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Live == 1 }, 1)
	ctx := t.Context()
	for _, app := range []octo.Name{"other", "shop"} {
		_, err := w.apps().Create(ctx, string(app), octo.App{Name: app})
		require.NoError(t, err)
	}
	put := func(host string, app octo.Name) {
		_, err := w.domains().Create(ctx, host, octo.Domain{Host: host, App: app, Kind: octo.DomainServe})
		require.NoError(t, err)
	}
	put("www.example.org", "hello")
	put("example.org", "hello")
	put("shop.example.com", "hello") // the default host of another
	put("gone.example.org", "gone")
	w.routed("hello", func(r octo.Route) bool { return len(r.Hosts) == 4 && len(r.Backends) == 1 })
	w.routed("shop", func(r octo.Route) bool { return len(r.Hosts) == 0 })

	_, err := w.apps().Update(ctx, "hello", func(a *octo.App) error {
		a.Maintenance, a.Edge.Body = &octo.Maintenance{Message: "back soon"}, 1<<20
		return nil
	})
	require.NoError(t, err)
	w.routed("hello", func(r octo.Route) bool { return r.Maintenance != nil && r.Edge.Body == 1<<20 })
	require.NoError(t, w.domains().Delete(ctx, "shop.example.com"))
	require.NoError(t, w.domains().Delete(ctx, "example.org"))
	w.routed("hello", func(r octo.Route) bool { return len(r.Hosts) == 2 && r.Maintenance != nil })
	w.routed("shop", func(r octo.Route) bool { return len(r.Hosts) == 1 && r.Hosts[0] == "shop.example.com" })

	before, err := w.store.List(ctx, store.RoutesPrefix)
	require.NoError(t, err)
	w.end()
	w.lead()
	put("last.example.org", "other")
	w.routed("other", func(r octo.Route) bool { return len(r.Hosts) == 2 })
	after, err := w.store.List(ctx, store.RoutesPrefix)
	require.NoError(t, err)
	for i, e := range after {
		if e.Key != store.RoutesPrefix+store.RouteShard("other") {
			require.Equal(t, string(before[i].Value), string(e.Value))
			require.Equal(t, before[i].Version, e.Version, e.Key)
		}
	}
}

// A shard that is too large to be written does not keep the others from being written.
func TestLoop_TooManyRoutesAreNobodyElsesProblem(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, app := range []octo.Name{"large", "other"} {
		_, err := w.apps().Create(ctx, string(app), octo.App{Name: app})
		require.NoError(t, err)
		w.routed(app, func(octo.Route) bool { return true })
	}
	long := strings.Repeat("x", store.MaxValue/10)
	for i := range 11 {
		host := fmt.Sprintf("%d.example.org", i)
		_, err := w.domains().Create(ctx, host, octo.Domain{Host: host, App: "large", Kind: octo.DomainRedirect, Target: long})
		require.NoError(t, err)
	}
	_, err := w.domains().Create(ctx, "www.example.org", octo.Domain{Host: "www.example.org", App: "other", Kind: octo.DomainServe})
	require.NoError(t, err)
	w.routed("other", func(r octo.Route) bool { return len(r.Hosts) == 2 })
	w.routed("large", func(r octo.Route) bool { return len(r.Redirects) > 5 })
}

// routed waits until the route of an app is as it should be.
func (w *world) routed(app octo.Name, ok func(octo.Route) bool) {
	w.t.Helper()
	docs := store.Docs[[]octo.Route]{Store: w.store, Prefix: store.RoutesPrefix}
	require.Eventually(w.t, func() bool {
		doc, err := docs.Get(context.Background(), store.RouteShard(app))
		return err == nil && slices.ContainsFunc(doc.Value, func(r octo.Route) bool { return r.App == app && ok(r) })
	}, 10*time.Second, 5*time.Millisecond)
}
