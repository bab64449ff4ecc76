// Package oneoff runs programs beside the instances of an app: those that people run
// in the image of a release, with somebody attached or without, release tasks, and
// programs inside of running instances. Each run is a container of its own, and what
// is known of it is on its labels: after a crash nothing else is needed to look after
// it.
package oneoff

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Programs starts programs and ends them.
type Programs interface {
	Start(ctx context.Context, spec engine.Spec) (engine.Container, error)
	StartAttached(ctx context.Context, spec engine.Spec, at engine.Attach) (engine.Container, engine.Session, error)
	Exec(ctx context.Context, id string, spec engine.ExecSpec) (engine.Session, error)
	Stop(ctx context.Context, id string, grace time.Duration) error
	Remove(ctx context.Context, id string) error
}

// Containers tells what there is.
type Containers interface {
	Inspect(ctx context.Context, id string) (engine.Container, error)
	List(ctx context.Context, labels map[string]string) ([]engine.Container, error)
	Events(ctx context.Context, labels map[string]string) iter.Seq2[engine.Event, error]
	Logs(ctx context.Context, id string, opts engine.LogOptions) iter.Seq2[engine.LogLine, error]
}

// Engine is the container engine of this machine.
type Engine interface {
	Programs
	Containers
}

// Places gives containers their addresses.
type Places interface {
	// Lend calls start with spec at a free place, and once more where it is taken.
	Lend(ctx context.Context, spec engine.Spec, start func(engine.Spec) error) error
	// Return takes back the place of a container that is gone.
	Return(c engine.Container)
}

// Config is what a Runner needs.
type Config struct {
	Host   string // value of the label octohost.host: whose objects are ours
	Store  store.Store
	Engine Engine
	Places Places
	// Env returns the configuration of a release: NAME=value, and files.
	Env func(ctx context.Context, r octo.Release) ([]string, []engine.File, error)
	// Hold keeps images from being collected until release is called.
	Hold func() (release func())
	// LastWords takes what a container has printed that is about to be removed; may be nil.
	LastWords func(ctx context.Context, box engine.Container) error
	TaskTime  time.Duration // how long a release task may run
	Record    func(octo.Event)
	Log       *slog.Logger
}

// Runner runs programs.
type Runner struct {
	cfg  Config
	wake chan struct{}              // has an element when the loop should look
	jobs chan func(context.Context) // for the loop to run
	over chan struct{}              // closed when the loop has ended

	removing sync.Mutex // one container at a time

	mu     sync.Mutex
	minded map[string]*ending // by name of container: those whose caller looks after them
}

// ending says why a run that somebody looks after is ended by somebody else.
type ending struct{ why string }

// New returns a Runner. It starts programs only while Run runs.
func New(cfg Config) *Runner {
	return &Runner{
		cfg: cfg, wake: make(chan struct{}, 1), jobs: make(chan func(context.Context)), over: make(chan struct{}),
		minded: map[string]*ending{},
	}
}

// mind says that the caller looks after a container. What they leave, when they call
// release, is for the loop.
func (r *Runner) mind(container string) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.minded[container] = &ending{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.minded, container)
		r.look()
	}
}

// isMinded reports whether a caller looks after a container.
func (r *Runner) isMinded(container string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.minded[container] != nil
}

// because notes why a container is ended, for those who look after it.
func (r *Runner) because(container, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.minded[container]; e != nil && e.why == "" {
		e.why = why
	}
}

// why returns why a container was ended by somebody else; usually it was not.
func (r *Runner) why(container string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.minded[container]; e != nil {
		return e.why
	}
	return ""
}

// look has the loop look at all runs.
func (r *Runner) look() {
	select {
	case r.wake <- struct{}{}:
	default: // it will
	}
}

// later has the loop run a job, unless it has ended.
func (r *Runner) later(job func(context.Context)) {
	select {
	case r.jobs <- job:
	case <-r.over:
	}
}

func (r *Runner) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: r.cfg.Store, Prefix: store.AppsPrefix}
}

// app returns an app that is not being destroyed.
func (r *Runner) app(ctx context.Context, name octo.Name) (octo.App, error) {
	doc, err := r.apps().Get(ctx, string(name))
	if errors.Is(err, octo.ErrNotFound) || err == nil && doc.Value.Destroying {
		return octo.App{}, octo.NoSuchApp(name)
	}
	if err != nil {
		return octo.App{}, fmt.Errorf("read app %s: %w", name, err)
	}
	return doc.Value, nil
}

// release returns the release in whose image programs of an app run: the one that is
// live, or else the one that is wanted.
func (r *Runner) release(ctx context.Context, name octo.Name) (octo.Release, error) {
	app, err := r.app(ctx, name)
	if err != nil {
		return octo.Release{}, err
	}
	n := app.Live
	if n == 0 {
		n = app.Release
	}
	if n == 0 {
		return octo.Release{}, octo.Errorf(octo.ErrConflict, "%s has no release yet, so there is nothing to run", name).WithHint("make one with: git push octo main")
	}
	doc, err := store.Docs[octo.Release]{Store: r.cfg.Store, Prefix: store.ReleasesPrefix}.Get(ctx, store.ReleaseName(name, n))
	if err != nil {
		return octo.Release{}, fmt.Errorf("read release %s %s: %w", name, octo.Version(n), err)
	}
	return doc.Value, nil
}
