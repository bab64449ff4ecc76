// Package reap removes what nothing refers to any more: all that an app leaves when
// it is destroyed, and the images of releases that are too old to go back to.
package reap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
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
}

// Config is what a Reaper needs.
type Config struct {
	Host   string // value of the label octohost.host: whose objects are ours
	Store  store.Store
	Engine Engine
	// Idle calls f while no deploy of app can use an image that it has not released
	// yet, or reports false.
	Idle func(app octo.Name, f func()) bool
	// Repository removes an app's repository, and Events its events.
	Repository func(ctx context.Context, app octo.Name) error
	Events     func(ctx context.Context, app octo.Name) error
	Keep       int // how many releases' images are kept
	Record     func(octo.Event)
	Log        *slog.Logger
}

// Reaper removes.
type Reaper struct{ Config }

// New returns a Reaper.
func New(cfg Config) *Reaper { return &Reaper{cfg} }

// every is how often the reaper looks even when nothing happened: something may
// have been in use the last time.
const every = time.Minute

// Run removes what may go, after changes and now and then, until ctx is done.
func (r *Reaper) Run(ctx context.Context) error {
	woken := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	for _, prefix := range []string{store.AppsPrefix, store.HavePrefix} {
		g.Go(func() error {
			wake(r.Store.Watch(ctx, prefix), woken)
			return nil
		})
	}
	g.Go(func() error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		live := map[octo.Name]int{}
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-woken:
			case <-tick.C:
				clear(live)
			}
			if err := r.sweep(ctx, live); err != nil && ctx.Err() == nil {
				r.Log.Warn("clean-up interrupted", "err", err)
			}
		}
	})
	return g.Wait()
}

func wake(watch iter.Seq2[[]store.Entry, error], woken chan<- struct{}) {
	for range watch {
		select {
		case woken <- struct{}{}:
		default: // somebody has knocked already
		}
	}
}

// sweep looks at every app once. live is which release of each app was live when
// its images were last looked at.
func (r *Reaper) sweep(ctx context.Context, live map[octo.Name]int) error {
	apps, err := r.apps().All(ctx)
	if err != nil {
		return fmt.Errorf("list apps: %w", err)
	}
	var errs error
	for _, doc := range apps {
		a := doc.Value
		switch {
		case a.Destroying:
			err = r.bury(ctx, a.Name)
		case a.Live != live[a.Name]:
			err = r.trim(ctx, a)
			live[a.Name] = a.Live
		default:
			continue
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("app %s: %w", a.Name, err))
		}
	}
	return errs
}

func (r *Reaper) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: r.Store, Prefix: store.AppsPrefix}
}

// bury removes all that a destroyed app leaves, its document last: until then the
// whole is tried again.
func (r *Reaper) bury(ctx context.Context, app octo.Name) error {
	if busy, err := r.running(ctx, app); busy || err != nil {
		return err
	}
	if err := r.removeImages(ctx, app, nil); err != nil {
		return err
	}
	if err := r.Repository(ctx, app); err != nil {
		return fmt.Errorf("remove repository: %w", err)
	}
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
	if err := r.Events(ctx, app); err != nil {
		return err
	}
	if err := r.apps().Delete(ctx, string(app)); err != nil {
		return fmt.Errorf("delete app: %w", err)
	}
	r.Log.Info("app destroyed", "app", app)
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
	left, err := r.Engine.List(ctx, r.labels(app))
	if err != nil {
		return false, fmt.Errorf("list containers: %w", err)
	}
	return len(left) > 0, nil
}

func (r *Reaper) labels(app octo.Name) map[string]string {
	return map[string]string{engine.LabelHost: r.Host, engine.LabelApp: string(app)}
}

// trim removes the images of releases that are too old to go back to.
func (r *Reaper) trim(ctx context.Context, a octo.App) error {
	docs, err := store.Docs[octo.Release]{Store: r.Store, Prefix: store.AppReleasesPrefix(a.Name)}.All(ctx)
	if err != nil {
		return fmt.Errorf("list releases: %w", err)
	}
	keep, lives := map[string]bool{}, 0
	for i := len(docs) - 1; i >= 0; i-- {
		rel := docs[i].Value
		rolling := rel.Number >= a.Live && rel.Outcome == octo.Pending
		if rel.Outcome == octo.Live {
			lives++
		}
		if rolling || rel.Number == a.Live || rel.Number == a.Release || (rel.Outcome == octo.Live && lives <= r.Keep) {
			keep[rel.Image] = true
		}
	}
	return r.removeImages(ctx, a.Name, keep)
}

// removeImages removes the images of an app but those to keep, unless a deploy is
// at work: then the next sweep does.
func (r *Reaper) removeImages(ctx context.Context, app octo.Name, keep map[string]bool) error {
	var err error
	if idle := r.Idle(app, func() { err = r.removeIdle(ctx, app, keep) }); !idle {
		return octo.Errorf(octo.ErrConflict, "a deploy of %s is at work", app)
	}
	return err
}

func (r *Reaper) removeIdle(ctx context.Context, app octo.Name, keep map[string]bool) error {
	images, err := r.Engine.Images(ctx, r.labels(app))
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	for _, image := range images {
		if keep[image.ID] {
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
