package oneoff

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

const testHost = "0123456789abcdef"

// ann is who runs programs here.
var ann = octo.Identity{User: "ann"}

// rig is a Runner over an engine in memory, and an app that has a release.
type rig struct {
	*testing.T
	*Runner
	fake  *enginetest.Fake
	store *bolt.Store
	image string
	stop  func()

	mu       sync.Mutex
	held     int
	returned []string // addresses of places
	events   []octo.Event
}

// inBubble runs a test in a bubble of time, with a rig whose Runner runs.
func inBubble(t *testing.T, test func(*rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		synctest.Wait()
		test(r)
	})
}

func newRig(t *testing.T) *rig {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	r := &rig{T: t, fake: enginetest.NewFake(enginetest.FakeConfig{}), store: s}
	r.image = r.fake.AddImage(engine.Image{Command: []string{"/testapp"}, Env: []string{"A=image", "B=image"}})
	_, err = r.fake.EnsureNetwork(t.Context(), engine.NetworkSpec{Name: "net", Pools: []string{"10.213.0.0/16"}, SubnetBits: 24})
	require.NoError(t, err)
	r.release(1)
	t.Cleanup(func() {
		if r.stop != nil {
			r.stop()
		}
		require.NoError(t, r.fake.Close())
		require.NoError(t, s.Close())
		require.Zero(t, r.held, "every hold was released")
	})
	return r
}

// start runs a Runner, as a start of the daemon does.
func (r *rig) start() {
	r.Runner = New(Config{
		Host: testHost, Store: r.store, Engine: r.fake, Places: r, TaskTime: time.Hour, Log: slog.New(slog.DiscardHandler),
		Env: func(context.Context, octo.Release) ([]string, []engine.File, error) {
			return []string{"B=config", "C=config", "D=config"}, []engine.File{{Path: "/run/secret", Content: []byte("x")}}, nil
		},
		Hold: func() func() {
			r.hold(1)
			return func() { r.hold(-1) }
		},
		Record: func(e octo.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	runner := r.Runner
	go func() { ended <- runner.Run(ctx) }()
	r.stop = func() {
		cancel()
		require.NoError(r, <-ended)
		r.stop = nil
	}
}

func (r *rig) hold(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += n
}

// Lend implements Places.
func (r *rig) Lend(_ context.Context, spec engine.Spec, start func(engine.Spec) error) error {
	spec.Network = "net"
	return start(spec)
}

// Return implements Places.
func (r *rig) Return(c engine.Container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.returned = append(r.returned, c.Name)
}

// release writes a release of hello and puts it live.
func (r *rig) release(n int, change ...func(*octo.Release)) octo.Release {
	web, worker := octo.NewProcess(octo.Web, 5000), octo.NewProcess("worker", 0)
	worker.Command, worker.Memory = []string{"/testapp", "say", "working"}, 64<<20
	rel := octo.Release{App: "hello", Number: n, Image: r.image, Processes: []octo.Process{web, worker}, Created: time.Now(), Outcome: octo.Live}
	for _, f := range change {
		f(&rel)
	}
	_, err := store.Docs[octo.Release]{Store: r.store, Prefix: store.ReleasesPrefix}.Create(context.Background(), store.ReleaseName("hello", n), rel)
	require.NoError(r, err)
	r.setApp(func(a *octo.App) { a.Live, a.Release, a.Last = n, n, n })
	return rel
}

// setApp changes the app hello, which is made if need be.
func (r *rig) setApp(change func(*octo.App)) {
	docs := store.Docs[octo.App]{Store: r.store, Prefix: store.AppsPrefix}
	app := octo.App{Name: "hello", Owner: "ann"}
	if doc, err := docs.Get(context.Background(), "hello"); err == nil {
		app = doc.Value
	}
	change(&app)
	_, err := docs.Replace(context.Background(), "hello", app, store.Any)
	require.NoError(r, err)
}

// containers returns the names of those that there are, and how they are.
func (r *rig) containers() map[string]engine.State {
	all, err := r.fake.List(context.Background(), nil)
	require.NoError(r, err)
	found := map[string]engine.State{}
	for _, c := range all {
		found[c.Name] = c.State
	}
	return found
}

// kinds returns the kinds of events so far.
func (r *rig) kinds() []octo.EventKind {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []octo.EventKind
	for _, e := range r.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// visit is somebody who is attached to a program.
type visit struct {
	out, err *text
	typed    *io.PipeWriter
	controls chan octo.Control
	leave    context.CancelFunc
	began    chan octo.Run
	exit     octo.Exit
	failed   error
	done     chan struct{}
}

// text collects output.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// visit attaches somebody by way of run.
func (r *rig) visit(run func(context.Context, octo.Attachment) (octo.Exit, error)) *visit {
	ctx, cancel := context.WithCancel(context.Background())
	in, typed := io.Pipe()
	v := &visit{
		out: &text{}, err: &text{}, typed: typed, controls: make(chan octo.Control, 9), leave: cancel,
		began: make(chan octo.Run, 1), done: make(chan struct{}),
	}
	at := octo.Attachment{In: in, Out: v.out, Err: v.err, Controls: v.controls, Began: func(run octo.Run) { v.began <- run }}
	go func() {
		defer close(v.done)
		v.exit, v.failed = run(ctx, at)
	}()
	r.Cleanup(cancel)
	return v
}

// attach runs a tool with somebody attached.
func (r *rig) attach(p octo.Program) *visit {
	return r.visit(func(ctx context.Context, at octo.Attachment) (octo.Exit, error) {
		return r.Attach(ctx, ann, "hello", p, at)
	})
}

// tool is a program of package webapp.
func tool(words ...string) octo.Program {
	return octo.Program{Command: append([]string{"/testapp"}, words...)}
}

// after lets time go on, and then everything that follows happen.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
