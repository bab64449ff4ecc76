package reap

import (
	"context"
	"errors"
	"fmt"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// bury removes all that a destroyed app leaves, its document last: until then the
// whole is tried again. It reports false while something is in the way.
func (r *Reaper) bury(ctx context.Context, app octo.Name) (bool, error) {
	if busy, err := r.running(ctx, app); busy || err != nil {
		return false, err
	}
	var err error
	idle := r.Idle(func() {
		var images map[octo.Name][]engine.Image // as of now: a build may have ended just before
		if images, err = r.images(ctx); err != nil {
			return
		}
		for _, image := range images[app] {
			_, failed := r.removeImage(ctx, image)
			err = errors.Join(err, failed)
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
