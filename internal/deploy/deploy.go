// Package deploy turns a commit into a release, and follows its rollout in words.
// What it writes to the store is all that a rollout needs: from the moment the app's
// document names the new release, it goes on whoever dies.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Source reads the repositories that people push to.
type Source interface {
	// Files returns the content of those of the paths that the commit has.
	Files(ctx context.Context, app octo.Name, commit string, paths ...string) (map[string][]byte, error)
	// Archive streams the commit as a tar; Close reports whether it was whole.
	Archive(ctx context.Context, app octo.Name, commit string) (io.ReadCloser, error)
	// Submodules lists the paths in the commit that are repositories of their own.
	Submodules(ctx context.Context, app octo.Name, commit string) ([]string, error)
	// Tag keeps the commit of a release from being collected.
	Tag(ctx context.Context, app octo.Name, release int, commit string) error
}

// Builder builds images.
type Builder interface {
	Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error)
}

// Images looks at images.
type Images interface {
	Image(ctx context.Context, ref string) (engine.Image, error)
}

// Runner runs programs to their end.
type Runner interface {
	// RunTask runs a task in the image of r, with its configuration, and returns its
	// exit code; what it prints goes to out.
	RunTask(ctx context.Context, r octo.Release, t octo.Task, out io.Writer) (int, error)
}

// Router knows which release the visitors of an app reach.
type Router interface {
	WaitRoute(ctx context.Context, app octo.Name, ok func(octo.Route, bool) bool) error
}

// Config is what a Deployer needs.
type Config struct {
	Host    string // value of the label octohost.host
	Store   store.Store
	Source  Source
	Builder Builder
	Images  Images
	Router  Router
	Runner  Runner
	// Readable returns why containers of a release could not be given its configuration;
	// nil means that they could, for all that is known.
	Readable func(ctx context.Context, r octo.Release) error
	// Secrets returns those of an app's variables that are set in a configuration; nil
	// knows none.
	Secrets func(ctx context.Context, app octo.Name, config int, names []string) (map[string][]byte, error)
	// Defaults sets those variables of an app that are not set, and returns the number
	// of the configuration that has them all; nil sets none.
	Defaults func(ctx context.Context, app octo.App, author string, defaults map[string]octo.ConfigDefault) (int, error)
	// Pushed gives an app the host names that a release asks for. It returns which of them
	// it serves, and why not the others; nil means that nobody heeds them.
	Pushed func(ctx context.Context, r octo.Release) (serves []string, refused []error, err error)
	URL    func(octo.Name) string // where an app is reached
	Room   func() error           // says whether there is disk space for a build
	Relief func(context.Context)  // makes some where there is little; may be nil
	Memory int64                  // limit of a build step in bytes
	CPU    float64                // limit of a build step in cores
	Record func(octo.Event)
	Log    *slog.Logger
}

// Deployer deploys.
type Deployer struct {
	Config
	// busy is held by those who use an image, or the layers of one, that no release
	// keeps from being collected.
	busy sync.RWMutex
}

// New returns a Deployer.
func New(cfg Config) *Deployer { return &Deployer{Config: cfg} }

// Push builds, releases and follows what somebody pushed, and tells the story on
// out. Its error says in one line why the push is to be rejected; whatever served
// before still does. Once the release exists, the rollout no longer depends on ctx.
func (d *Deployer) Push(ctx context.Context, push octo.Push, out io.Writer) error {
	p := newPrinter(out)
	release, err := d.create(ctx, p, push)
	if err != nil {
		d.buildFailed(ctx, p, push, err)
		return err
	}
	if slices.Contains(push.Options, noWait) {
		d.tag(ctx, release)
		p.done("%s %s is released; see how it goes with: octo releases -a %s", release.App, release.Version(), release.App)
		return nil
	}
	return d.launch(ctx, p, release)
}

// noWait is the push option that ends a push when its release exists.
const noWait = "no-wait"

// create builds the image of a commit and releases it. Until then nothing but the
// hold keeps the image from being collected.
func (d *Deployer) create(ctx context.Context, p *printer, push octo.Push) (octo.Release, error) {
	d.busy.RLock()
	defer d.busy.RUnlock()
	app, err := d.apps().Get(ctx, string(push.App))
	if err != nil {
		return octo.Release{App: push.App}, missing(push.App, err)
	}
	var settle func(octo.App, *octo.Release) error
	release, err := d.prepare(ctx, p, push, func(said manifest.Said, r *octo.Release) error {
		settle = d.withDefaults(ctx, push.User, said.App.Env)
		if err := settle(app.Value, r); err != nil {
			return err
		}
		return d.readable(ctx, *r)
	})
	if err != nil {
		return release, err
	}
	release.Names = d.names(ctx, p, push)
	if err := d.tasks(ctx, p, release); err != nil {
		return release, err
	}
	return d.release(ctx, release, settle)
}

// readable returns why a release could not run with its configuration.
func (d *Deployer) readable(ctx context.Context, r octo.Release) error {
	if d.Readable == nil {
		return nil
	}
	return d.Readable(ctx, r)
}

// withDefaults returns the settle of a release whose code says what is to be set where
// nobody has set it.
func (d *Deployer) withDefaults(ctx context.Context, author string, defaults map[string]octo.ConfigDefault) func(octo.App, *octo.Release) error {
	var seen, full *octo.Settings // what was there, and what became of it
	return func(app octo.App, r *octo.Release) error {
		if seen == nil || !seen.Equal(app.Settings) {
			settings := app.Settings.Clone()
			if d.Defaults != nil && len(defaults) > 0 {
				var err error
				if settings.Config, err = d.Defaults(ctx, app, author, defaults); err != nil {
					return err
				}
			}
			seen, full = &app.Settings, &settings
		}
		r.Settings = *full
		return nil
	}
}

// launch follows a release to its end.
func (d *Deployer) launch(ctx context.Context, p *printer, release octo.Release) error {
	p.step("Releasing %s (it goes on by itself from here, also if you disconnect)", release.Version())
	d.tag(ctx, release)
	return d.follow(ctx, p, release)
}

// tag keeps the commit of a release from being collected.
func (d *Deployer) tag(ctx context.Context, r octo.Release) {
	if r.Commit == "" {
		return
	}
	if err := d.Source.Tag(ctx, r.App, r.Number, r.Commit); err != nil {
		d.Log.Warn("cannot keep the commit of a release", "app", r.App, "release", r.Number, "err", err)
	}
}

// release writes a release with the next free number and makes the app want it: the
// commit point of every deploy. settle says which settings it has, given the app as it
// is at that moment; they become the app's own.
func (d *Deployer) release(ctx context.Context, r octo.Release, settle func(octo.App, *octo.Release) error) (octo.Release, error) {
	for {
		app, err := d.apps().Get(ctx, string(r.App))
		if err != nil {
			return r, missing(r.App, err)
		}
		if app.Value.Destroying {
			return r, octo.NoSuchApp(r.App)
		}
		if err := settle(app.Value, &r); err != nil {
			return r, err
		}
		if r.Declared == nil {
			r.Declared = r.Processes // as releases were before they said what the code declares
		}
		if err := d.readable(ctx, r); err != nil {
			return r, err
		}
		r.Processes = r.Settings.Over(r.Declared)
		before := app.Value.Settings
		r.Before = &before
		r.Number = app.Value.Last + 1
		r.Created = time.Now().UTC()
		_, err = d.releases().Create(ctx, store.ReleaseName(r.App, r.Number), r)
		orphan := errors.Is(err, octo.ErrConflict) // left by a crash between the two writes, or by somebody faster
		if err != nil && !orphan {
			return r, fmt.Errorf("write release %s %s: %w", r.App, r.Version(), err)
		}
		app.Value.Last = r.Number
		if !orphan {
			app.Value.Release, app.Value.Settings = r.Number, r.Settings
		}
		failpoint.Hit("deploy-before-commit")
		_, err = d.apps().Replace(ctx, string(r.App), app.Value, app.Version)
		switch {
		case err == nil && !orphan:
			failpoint.Hit("deploy-after-commit")
			d.Record(octo.Event{Kind: octo.EventReleased, App: r.App, Release: r.Number, User: r.Author, Message: r.Version() + " released: " + r.Description})
			return r, nil
		case err != nil && !errors.Is(err, octo.ErrConflict):
			return r, fmt.Errorf("write app %s: %w", r.App, err)
		case !orphan: // somebody changed the app: what we wrote is an orphan now
			if err := d.releases().Delete(ctx, store.ReleaseName(r.App, r.Number)); err != nil {
				return r, fmt.Errorf("take back release %s %s: %w", r.App, r.Version(), err)
			}
		}
	}
}

// Rollback releases once more what release number to was, or, for 0, the live
// release before the present one.
func (d *Deployer) Rollback(ctx context.Context, who octo.Identity, name octo.Name, to int, out io.Writer) error {
	p := newPrinter(out)
	if d.Relief != nil { // now: nothing can be removed while an image is held
		d.Relief(ctx)
	}
	release, err := d.again(ctx, p, who, name, to)
	if err != nil {
		return err
	}
	return d.launch(ctx, p, release)
}

// again makes a new release of what an old one was, with its image held until then.
func (d *Deployer) again(ctx context.Context, p *printer, who octo.Identity, name octo.Name, to int) (octo.Release, error) {
	d.busy.RLock()
	defer d.busy.RUnlock()
	app, err := d.apps().Get(ctx, string(name))
	if err != nil {
		return octo.Release{}, missing(name, err)
	}
	old, err := d.rollbackTarget(ctx, app.Value, to)
	if err != nil {
		return old, err
	}
	p.step("Rolling %s back to %s", name, old.Version())
	next := anew(old, who, "Rollback to "+old.Version())
	if _, err := d.Images.Image(ctx, old.Image); errors.Is(err, octo.ErrNotFound) {
		if next.Image, err = d.rebuild(ctx, p, old); err != nil {
			return old, err
		}
	} else if err != nil {
		return old, fmt.Errorf("look for the image of %s: %w", old.Version(), err)
	}
	if err := d.tasks(ctx, p, next); err != nil {
		return old, err
	}
	return d.release(ctx, next, func(octo.App, *octo.Release) error { return nil })
}

func (d *Deployer) rollbackTarget(ctx context.Context, app octo.App, to int) (octo.Release, error) {
	docs, err := store.Docs[octo.Release]{Store: d.Store, Prefix: store.AppReleasesPrefix(app.Name)}.All(ctx)
	if err != nil {
		return octo.Release{}, fmt.Errorf("list releases of %s: %w", app.Name, err)
	}
	var live octo.Release
	for i := len(docs) - 1; i >= 0; i-- {
		r := docs[i].Value
		if r.Number == app.Live {
			live = r
		}
		switch {
		case to == r.Number && r.Outcome != octo.Live:
			return r, octo.Errorf(octo.ErrConflict, "%s never was live", r.Version()).WithHint("see which were: octo releases -a %s", app.Name)
		case to == r.Number, to == 0 && r.Number < app.Live && r.Outcome == octo.Live && !r.Same(&live):
			return r, nil
		}
	}
	if to == 0 {
		return octo.Release{}, octo.Errorf(octo.ErrNotFound, "%s has no earlier live release to go back to", app.Name)
	}
	return octo.Release{}, octo.Errorf(octo.ErrNotFound, "%s has no release %s", app.Name, octo.Version(to)).WithHint("list them with: octo releases -a %s", app.Name)
}

// Idle calls f while nobody builds and everybody has released what they have built.
// It reports false, without calling f, when somebody is at it. Not only the app's own
// deploys count: the classic builder fails when a layer that it has found in its cache
// goes with another app's image.
func (d *Deployer) Idle(f func()) bool {
	if !d.busy.TryLock() {
		return false
	}
	defer d.busy.Unlock()
	f()
	return true
}

// Hold keeps every image from being collected until release is called: those of
// somebody who is about to use one.
func (d *Deployer) Hold() (release func()) {
	d.busy.RLock()
	return d.busy.RUnlock
}

func (d *Deployer) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: d.Store, Prefix: store.AppsPrefix}
}

func (d *Deployer) releases() store.Docs[octo.Release] {
	return store.Docs[octo.Release]{Store: d.Store, Prefix: store.ReleasesPrefix}
}

func missing(app octo.Name, err error) error {
	if errors.Is(err, octo.ErrNotFound) {
		return octo.NoSuchApp(app)
	}
	return fmt.Errorf("read app %s: %w", app, err)
}
