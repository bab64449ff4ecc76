package reap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// keepReleases is how many releases of an app are remembered, whatever becomes of their
// images.
const keepReleases = 500

// victim is garbage, with the way to remove it.
type victim struct {
	octo.Garbage
	remove func(context.Context) error
}

// look finds garbage of one kind or app.
type look struct {
	idle bool // what it finds may only go while nobody deploys, who might need it again
	find func(context.Context, octo.Collection) ([]victim, error)
}

// Collect removes garbage, and returns what it has removed, or could not. While somebody
// deploys, images have to wait: for a while, and then it is octo.ErrUnavailable.
func (r *Reaper) Collect(ctx context.Context, c octo.Collection) ([]octo.Garbage, error) {
	if !c.Dry {
		select {
		case r.collecting <- struct{}{}:
			defer func() { <-r.collecting }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	looks, err := r.looks(ctx)
	if err != nil {
		return nil, err
	}
	list := []octo.Garbage{}
	for _, l := range looks {
		var found []octo.Garbage
		work := func() { found, err = collect(ctx, c, l) }
		if l.idle && !c.Dry {
			err = errors.Join(r.whileIdle(ctx, work), err)
		} else {
			work()
		}
		if list = append(list, found...); err != nil {
			return list, err
		}
	}
	return list, nil
}

// collect removes what a look finds, unless it is only to be found.
func collect(ctx context.Context, c octo.Collection, l look) ([]octo.Garbage, error) {
	victims, err := l.find(ctx, c)
	if err != nil {
		return nil, err
	}
	var list []octo.Garbage
	for _, v := range victims {
		if !c.Dry {
			if err := v.remove(ctx); err != nil {
				v.Error = err.Error()
			}
		}
		list = append(list, v.Garbage)
	}
	return list, nil
}

const (
	// idleEvery is how often a deploy is asked whether it has ended, and idlePatience for
	// how long.
	idleEvery    = 100 * time.Millisecond
	idlePatience = time.Minute
)

// whileIdle calls f as soon as nobody deploys.
func (r *Reaper) whileIdle(ctx context.Context, f func()) error {
	ctx, cancel := context.WithTimeout(ctx, idlePatience)
	defer cancel()
	for !r.Idle(f) {
		select {
		case <-time.After(idleEvery):
		case <-ctx.Done():
			return octo.Errorf(octo.ErrUnavailable, "somebody deploys, and might need what would go").WithHint("try again when that has ended; see: octo events -f")
		}
	}
	return nil
}

// looks returns what is to be looked at: each app by itself, so that none keeps others
// from deploying for long.
func (r *Reaper) looks(ctx context.Context) ([]look, error) {
	images, err := r.images(ctx) // before apps: whose app is not there is not about to come
	if err != nil {
		return nil, err
	}
	docs, err := r.apps().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	var looks []look
	for _, d := range docs {
		app, mine := d.Value.Name, images[d.Value.Name]
		delete(images, app)
		if !d.Value.Destroying { // such a one is buried as a whole
			looks = append(looks, look{true, func(ctx context.Context, c octo.Collection) ([]victim, error) { return r.findOfApp(ctx, c, app, mine) }})
		}
	}
	for _, app := range slices.Sorted(maps.Keys(images)) {
		looks = append(looks, look{true, func(ctx context.Context, _ octo.Collection) ([]victim, error) {
			return r.findLost(ctx, app, images[app])
		}})
	}
	return append(looks, look{false, r.findContainers}, look{false, r.findNetworks}, look{false, r.findKeys}, look{false, r.findCache}), nil
}

// findOfApp returns the images and the releases of an app that may go.
func (r *Reaper) findOfApp(ctx context.Context, c octo.Collection, name octo.Name, images []engine.Image) ([]victim, error) {
	app, releases, err := r.history(ctx, name)
	if errors.Is(err, octo.ErrNotFound) {
		return nil, nil // destroyed meanwhile
	}
	if err != nil {
		return nil, err
	}
	most, why := r.Keep, fmt.Sprintf("not among the last %d", r.Keep)
	if c.All {
		most, why = 0, "it does not run"
	}
	var victims []victim
	for _, i := range spare(images, kept(app, releases, most), c.All) {
		victims = append(victims, r.image(i, why))
	}
	assigned, err := r.assigned(ctx, name)
	if err != nil {
		return nil, err
	}
	releases = slices.DeleteFunc(releases[:max(0, len(releases)-keepReleases)], func(d store.Doc[octo.Release]) bool { return assigned[d.Value.Number] })
	return append(victims, r.oldReleases(app, releases)...), nil
}

// assigned returns the releases of an app that instances were made for which are to run:
// a release of the same code takes over those of an earlier one.
func (r *Reaper) assigned(ctx context.Context, app octo.Name) (map[int]bool, error) {
	wants, err := store.Docs[[]octo.Assignment]{Store: r.Store, Prefix: store.WantPrefix}.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list assignments: %w", err)
	}
	numbers := map[int]bool{}
	for _, d := range wants {
		for _, a := range d.Value {
			if a.App == app {
				numbers[a.Release] = true
			}
		}
	}
	return numbers, nil
}

// findLost returns images of an app that is gone.
func (r *Reaper) findLost(ctx context.Context, app octo.Name, images []engine.Image) ([]victim, error) {
	if _, err := r.apps().Get(ctx, string(app)); app != "" && !errors.Is(err, octo.ErrNotFound) {
		return nil, err // it came again, and may want one of them
	}
	var victims []victim
	for _, i := range images {
		victims = append(victims, r.image(i, "its app is gone"))
	}
	return victims, nil
}

func (r *Reaper) image(i engine.Image, why string) victim {
	name := i.ID
	if len(i.Tags) > 0 {
		name = i.Tags[0]
	}
	g := octo.Garbage{Kind: octo.GarbageImage, Name: name, App: octo.Name(i.Labels[engine.LabelApp]), Bytes: i.Size, Why: why}
	return victim{g, func(ctx context.Context) error {
		removed, err := r.removeImage(ctx, i)
		if err == nil && !removed {
			err = octo.Errorf(octo.ErrConflict, "a container uses it")
		}
		return err
	}}
}

// oldReleases returns those of the releases that are too many which the app does not
// need. Their commits are let go of first: then nothing is left of them but the list
// that is tried again.
func (r *Reaper) oldReleases(app octo.App, surplus []store.Doc[octo.Release]) []victim {
	var numbers []int
	for _, d := range surplus {
		if n := d.Value.Number; n != app.Live && n != app.Release && d.Value.Outcome != octo.Pending {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	g := octo.Garbage{
		Kind: octo.GarbageReleases, App: app.Name, Why: fmt.Sprintf("not among the last %d", keepReleases),
		Name: fmt.Sprintf("%s to %s", octo.Version(numbers[0]), octo.Version(slices.Max(numbers))),
	}
	return []victim{{g, func(ctx context.Context) error {
		if err := r.Untag(ctx, app.Name, numbers); err != nil {
			return fmt.Errorf("let go of commits: %w", err)
		}
		docs := store.Docs[octo.Release]{Store: r.Store, Prefix: store.ReleasesPrefix}
		for _, n := range numbers {
			if err := docs.Delete(ctx, store.ReleaseName(app.Name, n)); err != nil {
				return fmt.Errorf("delete release: %w", err)
			}
		}
		return nil
	}}}
}

// findContainers returns containers that are ours, but neither instances nor one-offs:
// those have others to look after them.
func (r *Reaper) findContainers(ctx context.Context, _ octo.Collection) ([]victim, error) {
	all, err := r.Engine.List(ctx, map[string]string{engine.LabelHost: r.Host})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var victims []victim
	for _, c := range all {
		stopped := c.State == engine.StateExited || c.State == engine.StateDead
		if c.Labels[engine.LabelInstance] != "" || c.Labels[engine.LabelOneoff] != "" || !stopped {
			continue
		}
		g := octo.Garbage{Kind: octo.GarbageContainer, Name: c.Name, App: octo.Name(c.Labels[engine.LabelApp]), Why: "nobody looks after it"}
		victims = append(victims, victim{g, func(ctx context.Context) error { return r.Engine.Remove(ctx, c.ID) }})
	}
	return victims, nil
}

func (r *Reaper) findNetworks(ctx context.Context, _ octo.Collection) ([]victim, error) {
	names, err := r.Networks(ctx, true)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var victims []victim
	for _, name := range names {
		g := octo.Garbage{Kind: octo.GarbageNetwork, Name: name, Why: "nobody is in it"}
		victims = append(victims, victim{g, func(ctx context.Context) error {
			_, err := r.Networks(ctx, false) // the first takes all along
			return err
		}})
	}
	return victims, nil
}

// findKeys returns deploy keys of apps that are not there, which a crash may have left.
func (r *Reaper) findKeys(ctx context.Context, _ octo.Collection) ([]victim, error) {
	keys := store.Docs[octo.Key]{Store: r.Store, Prefix: store.KeysPrefix}
	docs, err := keys.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var victims []victim
	for _, d := range docs {
		app := d.Value.App
		if app == "" {
			continue
		}
		if _, err := r.apps().Get(ctx, string(app)); !errors.Is(err, octo.ErrNotFound) {
			continue
		}
		g := octo.Garbage{Kind: octo.GarbageKey, Name: d.Value.Fingerprint, App: app, Why: "its app is gone"}
		victims = append(victims, victim{g, func(ctx context.Context) error { return keys.Delete(ctx, d.Name) }})
	}
	return victims, nil
}

// findCache returns what the build cache has too much. How large it is can take long to
// find out, so that is only asked if nothing is to be removed. To cut it can take
// minutes; builds may go on meanwhile, for BuildKit knows what they use.
func (r *Reaper) findCache(ctx context.Context, c octo.Collection) ([]victim, error) {
	keep, why := r.Cache, fmt.Sprintf("beyond %s", octo.Size(r.Cache))
	if c.All {
		keep, why = 0, "it can be made again"
	}
	g := octo.Garbage{Kind: octo.GarbageBuildCache, Name: "of the engine", Why: why}
	if c.Dry {
		size, err := r.Engine.BuildCacheSize(ctx)
		if g.Bytes = size - keep; err != nil || g.Bytes <= 0 {
			return nil, err
		}
		return []victim{{Garbage: g}}, nil
	}
	gained, err := r.Engine.PruneBuildCache(ctx, keep)
	if g.Bytes = gained; err != nil || gained == 0 {
		return nil, err
	}
	return []victim{{g, func(context.Context) error { return nil }}}, nil
}
