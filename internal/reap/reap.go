// Package reap removes what nothing refers to any more: all that an app leaves when
// it is destroyed, images that no release needs, what is lost; and makes room when the
// disk is nearly full. It touches only what carries the label of this octohost, and
// the build cache, which the whole engine shares.
package reap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Engine holds images and containers.
type Engine interface {
	List(ctx context.Context, labels map[string]string) ([]engine.Container, error)
	Remove(ctx context.Context, container string) error
	Images(ctx context.Context, labels map[string]string) ([]engine.Image, error)
	RemoveImage(ctx context.Context, ref string) error
	PruneBuildCache(ctx context.Context, keep int64) (int64, error)
	BuildCacheSize(ctx context.Context) (int64, error)
}

// Config is what a Reaper needs.
type Config struct {
	Host   string // value of the label octohost.host: whose objects are ours
	Store  store.Store
	Engine Engine
	// Idle calls f while no deploy can use an image that no release keeps yet, or
	// reports false.
	Idle func(f func()) bool
	// Repository removes an app's repository, Events its events, Logs its log, and Names
	// sets its host names free.
	Repository func(ctx context.Context, app octo.Name) error
	Events     func(ctx context.Context, app octo.Name) error
	Logs       func(ctx context.Context, app octo.Name) error
	Names      func(ctx context.Context, app octo.Name) error
	// Maintain packs an app's repository together where it has grown many packs.
	Maintain func(ctx context.Context, app octo.Name) error
	// Untag lets go of the commits of releases that are forgotten.
	Untag func(ctx context.Context, app octo.Name, releases []int) error
	// Networks removes networks that nobody is in, or only finds them, and returns their
	// names.
	Networks func(ctx context.Context, dry bool) ([]string, error)
	// Space says how much room there is on the disks.
	Space  func(ctx context.Context) Space
	Keep   int   // how many images of each app are kept to go back to
	Cache  int64 // how many bytes BuildKit's cache may have
	Record func(octo.Event)
	Log    *slog.Logger
}

// Reaper removes.
type Reaper struct {
	Config
	collecting chan struct{} // holds a token while somebody collects

	mu   sync.Mutex
	told time.Time // when people heard that the disk is nearly full
}

// New returns a Reaper.
func New(cfg Config) *Reaper { return &Reaper{Config: cfg, collecting: make(chan struct{}, 1)} }

// every is how often the reaper looks even when nothing happened: something may
// have been in use the last time.
const every = time.Minute

// againAfter is when it looks again at a destroyed app while something is in the way:
// nothing tells when a deploy ends, or the container of a build step.
const againAfter = 500 * time.Millisecond

// tidyEvery is how often everything is collected that may go, the build cache is cut to
// its size, and repositories are looked after.
const tidyEvery = time.Hour

// Run removes what may go, after changes and now and then, until ctx is done.
func (r *Reaper) Run(ctx context.Context) error {
	woken := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	for _, prefix := range []string{store.AppsPrefix, store.WantPrefix, store.HavePrefix} {
		g.Go(func() error {
			wake(r.Store.Watch(ctx, prefix), woken)
			return nil
		})
	}
	g.Go(func() error {
		r.loop(ctx, woken)
		return nil
	})
	g.Go(func() error {
		r.keepHouse(ctx)
		return nil
	})
	return g.Wait()
}

func (r *Reaper) loop(ctx context.Context, woken <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	seen := map[octo.Name]sight{}
	var again <-chan time.Time
	for {
		var waits bool
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			maps.DeleteFunc(seen, func(_ octo.Name, s sight) bool { return s.again })
			waits, err = r.sweep(ctx, seen)
		case <-woken:
			waits, err = r.sweep(ctx, seen)
		case <-again:
			waits, err = r.sweep(ctx, seen)
		}
		again = nil
		if waits {
			again = time.After(againAfter)
		}
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("clean-up interrupted", "err", err)
		}
	}
}

// keepHouse does now and then what may take long.
func (r *Reaper) keepHouse(ctx context.Context) {
	tick, tidy := time.NewTicker(every), time.NewTicker(tidyEvery)
	defer tick.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.Relieve(ctx)
		case <-tidy.C:
			if err := errors.Join(r.tidy(ctx), r.maintain(ctx)); err != nil && ctx.Err() == nil {
				r.Log.Warn("house-keeping interrupted", "err", err)
			}
		}
	}
}

// maintain looks after every repository.
func (r *Reaper) maintain(ctx context.Context) error {
	apps, err := r.apps().All(ctx)
	if err != nil {
		return fmt.Errorf("list apps: %w", err)
	}
	for _, doc := range apps {
		if e := r.Maintain(ctx, doc.Value.Name); e != nil {
			err = errors.Join(err, fmt.Errorf("maintain repository of %s: %w", doc.Value.Name, e))
		}
	}
	return err
}

func wake(watch iter.Seq2[[]store.Entry, error], woken chan<- struct{}) {
	for range watch { // an error wakes too: the sweep will see for itself
		select {
		case woken <- struct{}{}:
		default: // somebody has knocked already
		}
	}
}

// sight is how an app was when its images were last looked at.
type sight struct {
	version store.Version
	again   bool // something was in use: look again in a while, though nothing changes
}

// sweep looks at every app that has changed since it was seen. It reports whether a
// destroyed app waits for something.
func (r *Reaper) sweep(ctx context.Context, seen map[octo.Name]sight) (waits bool, err error) {
	apps, err := r.apps().All(ctx)
	if err != nil {
		return false, fmt.Errorf("list apps: %w", err)
	}
	var changed []store.Doc[octo.App]
	for _, doc := range apps {
		if doc.Value.Destroying || doc.Version != seen[doc.Value.Name].version {
			changed = append(changed, doc)
		}
	}
	if len(changed) == 0 {
		return false, nil
	}
	images, err := r.images(ctx)
	if err != nil {
		return false, err
	}
	var errs error
	for _, doc := range changed {
		var done bool
		a := doc.Value
		if a.Destroying {
			done, err = r.bury(ctx, a.Name)
			waits = waits || !done && err == nil
		} else if done, err = r.trim(ctx, a.Name, images[a.Name]); err == nil {
			seen[a.Name] = sight{doc.Version, !done}
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("app %s: %w", a.Name, err))
		}
	}
	return waits, errs
}

func (r *Reaper) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: r.Store, Prefix: store.AppsPrefix}
}
