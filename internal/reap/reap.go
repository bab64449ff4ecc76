// Package reap removes what nothing refers to any more: all that an app leaves when
// it is destroyed, and the images of releases that are too old to go back to.
package reap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Engine holds images and containers.
type Engine interface {
	List(ctx context.Context, labels map[string]string) ([]engine.Container, error)
	Images(ctx context.Context, labels map[string]string) ([]engine.Image, error)
	RemoveImage(ctx context.Context, ref string) error
	PruneBuildCache(ctx context.Context, keep int64) (int64, error)
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
	Keep     int   // how many releases' images are kept
	Cache    int64 // how many bytes BuildKit's cache may have
	Record   func(octo.Event)
	Log      *slog.Logger
}

// Reaper removes.
type Reaper struct{ Config }

// New returns a Reaper.
func New(cfg Config) *Reaper { return &Reaper{cfg} }

// every is how often the reaper looks even when nothing happened: something may
// have been in use the last time.
const every = time.Minute

// againAfter is when it looks again at a destroyed app while something is in the way:
// nothing tells when a deploy ends, or the container of a build step.
const againAfter = 500 * time.Millisecond

// tidyEvery is how often the build cache is cut to its size, and repositories are
// looked after.
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
	return g.Wait()
}

func (r *Reaper) loop(ctx context.Context, woken <-chan struct{}) {
	tick, tidy := time.NewTicker(every), time.NewTicker(tidyEvery)
	defer tick.Stop()
	defer tidy.Stop()
	live := map[octo.Name]int{}
	var again <-chan time.Time
	for {
		waits := again != nil
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			err = errors.Join(r.prune(ctx), r.maintain(ctx))
		case <-tick.C:
			clear(live)
			waits, err = r.sweep(ctx, live)
		case <-woken:
			waits, err = r.sweep(ctx, live)
		case <-again:
			waits, err = r.sweep(ctx, live)
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

// prune cuts the build cache to its size, unless somebody builds.
func (r *Reaper) prune(ctx context.Context) error {
	var err error
	r.Idle(func() { _, err = r.Engine.PruneBuildCache(ctx, r.Cache) })
	if err != nil {
		return fmt.Errorf("prune build cache: %w", err)
	}
	return nil
}

func wake(watch iter.Seq2[[]store.Entry, error], woken chan<- struct{}) {
	for range watch { // an error wakes too: the sweep will see for itself
		select {
		case woken <- struct{}{}:
		default: // somebody has knocked already
		}
	}
}

// sweep looks at every app once. live is which release of each app was live when
// its images were last looked at. It reports whether a destroyed app waits for something.
func (r *Reaper) sweep(ctx context.Context, live map[octo.Name]int) (waits bool, err error) {
	apps, err := r.apps().All(ctx)
	if err != nil {
		return false, fmt.Errorf("list apps: %w", err)
	}
	var changed []octo.App
	for _, doc := range apps {
		if a := doc.Value; a.Destroying || a.Live != live[a.Name] {
			changed = append(changed, a)
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
	for _, a := range changed {
		var done bool
		if a.Destroying {
			done, err = r.bury(ctx, a.Name)
			waits = waits || !done && err == nil
		} else if done, err = r.trim(ctx, a.Name, images[a.Name]); done {
			live[a.Name] = a.Live
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("app %s: %w", a.Name, err))
		}
	}
	return waits, errs
}

// images returns all our images by app.
func (r *Reaper) images(ctx context.Context) (map[octo.Name][]engine.Image, error) {
	all, err := r.Engine.Images(ctx, map[string]string{engine.LabelHost: r.Host})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	byApp := map[octo.Name][]engine.Image{}
	for _, i := range all {
		app := octo.Name(i.Labels[engine.LabelApp])
		byApp[app] = append(byApp[app], i)
	}
	return byApp, nil
}

func (r *Reaper) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: r.Store, Prefix: store.AppsPrefix}
}

// bury removes all that a destroyed app leaves, its document last: until then the
// whole is tried again. It reports false while something is in the way.
func (r *Reaper) bury(ctx context.Context, app octo.Name) (bool, error) {
	if busy, err := r.running(ctx, app); busy || err != nil {
		return false, err
	}
	var err error
	idle := r.Idle(func() {
		var images map[octo.Name][]engine.Image // as of now: a build may have ended just before
		if images, err = r.images(ctx); err == nil {
			err = r.remove(ctx, images[app], nil)
		}
	})
	if !idle || err != nil {
		return false, err
	}
	if err := r.Repository(ctx, app); err != nil {
		return false, fmt.Errorf("remove repository: %w", err)
	}
	return true, r.forget(ctx, app)
}

// forget removes the documents of a destroyed app.
func (r *Reaper) forget(ctx context.Context, app octo.Name) error {
	releases := store.Docs[octo.Release]{Store: r.Store, Prefix: store.AppReleasesPrefix(app)}
	docs, err := releases.All(ctx)
	if err != nil {
		return fmt.Errorf("list releases: %w", err)
	}
	for _, d := range docs {
		if err := releases.Delete(ctx, d.Name); err != nil {
			return fmt.Errorf("delete release: %w", err)
		}
	}
	if err := r.Names(ctx, app); err != nil {
		return fmt.Errorf("free names: %w", err)
	}
	if err := r.forgetConfigs(ctx, app); err != nil {
		return err
	}
	if err := errors.Join(r.Events(ctx, app), r.Logs(ctx, app)); err != nil {
		return err
	}
	if err := r.forgetKeys(ctx, app); err != nil {
		return err
	}
	if err := r.apps().Delete(ctx, string(app)); err != nil {
		return fmt.Errorf("delete app: %w", err)
	}
	r.Record(octo.Event{Kind: octo.EventAppDestroyed, Message: fmt.Sprintf("app %s was destroyed", app)})
	return nil
}

// forgetKeys removes the deploy keys of an app that goes: they would open the next one
// of its name.
func (r *Reaper) forgetKeys(ctx context.Context, app octo.Name) error {
	keys := store.Docs[octo.Key]{Store: r.Store, Prefix: store.KeysPrefix}
	docs, err := keys.All(ctx)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, d := range docs {
		if d.Value.App != app {
			continue
		}
		if err := keys.Delete(ctx, d.Name); err != nil {
			return fmt.Errorf("delete key: %w", err)
		}
	}
	return nil
}

// running reports whether anything of an app may still run.
func (r *Reaper) running(ctx context.Context, app octo.Name) (bool, error) {
	wants, err := store.Docs[[]octo.Assignment]{Store: r.Store, Prefix: store.WantPrefix}.All(ctx)
	if err != nil {
		return false, fmt.Errorf("list assignments: %w", err)
	}
	for _, d := range wants {
		for _, a := range d.Value {
			if a.App == app {
				return true, nil
			}
		}
	}
	left, err := r.Engine.List(ctx, map[string]string{engine.LabelHost: r.Host, engine.LabelApp: string(app)})
	if err != nil {
		return false, fmt.Errorf("list containers: %w", err)
	}
	return len(left) > 0, nil
}

// trim removes the images of releases that are too old to go back to. What is kept
// is looked up while no deploy is at work, which could have built and released
// an old image anew since images were listed; while one is, nothing is done.
func (r *Reaper) trim(ctx context.Context, app octo.Name, images []engine.Image) (done bool, err error) {
	idle := r.Idle(func() {
		var a octo.App
		var releases []store.Doc[octo.Release]
		if a, releases, err = r.history(ctx, app); err == nil {
			err = errors.Join(r.remove(ctx, images, r.kept(a, releases)), r.trimConfigs(ctx, a, releases))
		}
	})
	return idle && err == nil, err
}

// history returns an app and its releases.
func (r *Reaper) history(ctx context.Context, app octo.Name) (octo.App, []store.Doc[octo.Release], error) {
	a, err := r.apps().Get(ctx, string(app))
	if err != nil {
		return a.Value, nil, fmt.Errorf("read app: %w", err)
	}
	docs, err := store.Docs[octo.Release]{Store: r.Store, Prefix: store.AppReleasesPrefix(app)}.All(ctx)
	if err != nil {
		return a.Value, nil, fmt.Errorf("list releases: %w", err)
	}
	return a.Value, docs, nil
}

// kept returns the images of an app that are of use: those of what runs or rolls
// out, and those of the last live releases.
func (r *Reaper) kept(app octo.App, releases []store.Doc[octo.Release]) map[string]bool {
	keep, lives := map[string]bool{}, 0
	for _, d := range slices.Backward(releases) {
		rel := d.Value
		if rel.Outcome == octo.Live {
			lives++
		}
		recent := rel.Outcome == octo.Live && lives <= r.Keep
		if recent || rel.Outcome == octo.Pending || rel.Number == app.Live || rel.Number == app.Release {
			keep[rel.Image] = true
		}
	}
	return keep
}

// remove removes those of the images that are not to keep; nil keeps none, not even
// what only makes builds faster.
func (r *Reaper) remove(ctx context.Context, images []engine.Image, keep map[string]bool) error {
	for _, image := range images {
		_, cache := image.Labels[engine.LabelCache] // without it the next build would begin anew
		if keep[image.ID] || (cache && keep != nil) {
			continue
		}
		for _, ref := range append(image.Tags, image.ID) {
			switch err := r.Engine.RemoveImage(ctx, ref); {
			case errors.Is(err, octo.ErrConflict), errors.Is(err, octo.ErrNotFound): // in use, or gone with its last tag
			case err != nil:
				return fmt.Errorf("remove image %s: %w", ref, err)
			}
		}
	}
	return nil
}
