package control_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
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
	t     *testing.T
	store store.Store
	lease store.Lease
	end   func()
	sick  sync.Map // of octo.InstanceID: those that fail
}

func newWorld(t *testing.T) *world {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	w := &world{t: t, store: s}
	w.lease, err = s.Lease(t.Context(), time.Minute)
	require.NoError(t, err)
	w.hold(store.NodesPrefix+"n1", octo.Node{Name: "n1"})
	w.hold(store.HavePrefix+"n1", []octo.Instance{})
	w.lead()
	go w.obey() // ends with the store
	return w
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
		have := []octo.Instance{}
		for _, d := range docs {
			for _, a := range d.Value {
				i := octo.Instance{ID: a.Instance, App: a.App, Release: a.Release, Process: a.Process, Node: "n1", Phase: octo.PhaseHealthy}
				if _, sick := w.sick.Load(a.Instance); sick {
					i.Phase, i.Failure = octo.PhaseFailed, &octo.Failure{Kind: octo.FailedExit, Message: "it ended"}
				}
				if !a.Drain {
					have = append(have, i)
				}
			}
		}
		value, err := json.Marshal(have)
		if err != nil || w.lease.Hold(context.Background(), store.HavePrefix+"n1", value) != nil {
			return // the store is closed
		}
	}
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
