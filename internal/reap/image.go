package reap

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

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

// trim removes the images of an app that are too old to go back to. What is kept is
// looked up while no deploy is at work, which could have built and released an old image
// anew since images were listed; while one is, nothing is done. It reports false if it
// has to look again.
func (r *Reaper) trim(ctx context.Context, app octo.Name, images []engine.Image) (done bool, err error) {
	idle := r.Idle(func() {
		var a octo.App
		var releases []store.Doc[octo.Release]
		if a, releases, err = r.history(ctx, app); err != nil {
			return
		}
		used := false
		for _, image := range spare(images, kept(a, releases, r.Keep), false) {
			removed, failed := r.removeImage(ctx, image)
			used, err = used || !removed, errors.Join(err, failed)
		}
		err = errors.Join(err, r.trimConfigs(ctx, a, releases))
		done = !used
	})
	return idle && done && err == nil, err
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

// kept returns the images of an app that are of use: those of what runs or rolls out,
// and the last ones that were live. Changes of settings make releases too, so that
// several releases may have the same image, which counts once.
func kept(app octo.App, releases []store.Doc[octo.Release], most int) map[string]bool {
	keep, last := map[string]bool{}, map[string]bool{}
	for _, d := range slices.Backward(releases) {
		rel := d.Value
		if rel.Outcome == octo.Live && len(last) < most {
			last[rel.Image] = true
		}
		if last[rel.Image] || rel.Outcome == octo.Pending || rel.Number == app.Live || rel.Number == app.Release {
			keep[rel.Image] = true
		}
	}
	return keep
}

// spare returns those of the images that are not to keep; what only makes builds faster
// is among them if stages is set.
func spare(images []engine.Image, keep map[string]bool, stages bool) []engine.Image {
	return slices.DeleteFunc(slices.Clone(images), func(i engine.Image) bool {
		_, stage := i.Labels[engine.LabelCache] // without it the next build would begin anew
		return keep[i.ID] || stage && !stages
	})
}

// removeImage removes an image; false says that it is in use.
func (r *Reaper) removeImage(ctx context.Context, image engine.Image) (bool, error) {
	for _, ref := range append(image.Tags, image.ID) {
		switch err := r.Engine.RemoveImage(ctx, ref); {
		case errors.Is(err, octo.ErrConflict):
			return false, nil
		case errors.Is(err, octo.ErrNotFound): // gone with its last tag
		case err != nil:
			return false, fmt.Errorf("remove image %s: %w", ref, err)
		}
	}
	return true, nil
}
