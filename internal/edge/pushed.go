package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Pushed gives an app the names that the CNAME file of a release asks for, and takes
// away those that it had from an earlier file. Each release is heeded once, when it is
// live; asked again, it only tells how things are. refused says of each name that the
// app does not get why that is so. Names that people gave are left alone.
func (r *Registry) Pushed(ctx context.Context, rel octo.Release) (serves []string, refused []error, err error) {
	if rel.Names == nil {
		return nil, nil, nil
	}
	given, gone, refused, err := r.heed(ctx, rel)
	for _, d := range given {
		r.Record(octo.Event{Kind: octo.EventDomainAdded, App: rel.App, User: rel.Author, Release: rel.Number, Message: d.Host + " added by CNAME"})
	}
	for _, d := range gone {
		r.Record(octo.Event{Kind: octo.EventDomainRemoved, App: rel.App, User: rel.Author, Release: rel.Number, Message: d.Host + " removed: it is no longer in CNAME"})
	}
	if err != nil {
		return nil, nil, err
	}
	r.live(ctx, rel.App, func(route octo.Route) bool {
		missing := slices.ContainsFunc(given, func(d octo.Domain) bool { return !slices.Contains(route.Hosts, d.Host) })
		return !missing && !slices.ContainsFunc(gone, func(d octo.Domain) bool { return slices.Contains(route.Hosts, d.Host) })
	})
	b, err := r.read(ctx)
	for _, name := range rel.Names {
		host, bad := hostname.Parse(name)
		if d, ok := b.find(host); bad == nil && ok && d.Value.App == rel.App && d.Value.Kind == octo.DomainServe {
			serves = append(serves, host)
		}
	}
	return serves, refused, err
}

// heed gives and takes what a release asks for, unless that was done before.
func (r *Registry) heed(ctx context.Context, rel octo.Release) (given, gone []octo.Domain, refused []error, err error) {
	r.claims.Lock()
	defer r.claims.Unlock()
	app, err := r.app(ctx, rel.App)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := r.read(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	wanted, refused, err := r.asked(ctx, app, b, rel)
	if err != nil || app.NamesOf >= rel.Number {
		return nil, nil, refused, err
	}
	for _, d := range b.of(app.Name) {
		if d.Value.Source != octo.DomainPushed || slices.ContainsFunc(rel.Names, func(name string) bool { return is(name, d.Name) }) {
			continue
		}
		if err := r.docs().Delete(ctx, d.Name); err != nil {
			return given, gone, refused, fmt.Errorf("delete domain %s: %w", d.Name, err)
		}
		gone = append(gone, d.Value)
	}
	for _, d := range wanted {
		if err := r.write(ctx, entry{}, d); err != nil {
			return given, gone, refused, err
		}
		given = append(given, d)
	}
	if len(rel.Names) == 0 && len(gone) == 0 {
		return given, gone, refused, nil // most pushes: there is nothing to be done once only
	}
	failpoint.Hit("edge-before-heeded")
	_, err = r.apps().Update(ctx, string(app.Name), func(a *octo.App) error {
		if a.NamesOf >= rel.Number {
			return store.ErrUnchanged
		}
		a.NamesOf = rel.Number
		return nil
	})
	return given, gone, refused, err
}

// is reports whether a name, however it is written, is host.
func is(name, host string) bool {
	parsed, err := hostname.Parse(name)
	return err == nil && parsed == host
}

// asked returns the names that a release asks for and that its app does not have yet,
// and why it does not get others.
func (r *Registry) asked(ctx context.Context, app octo.App, b book, rel octo.Release) (wanted []octo.Domain, refused []error, err error) {
	has := len(b.of(app.Name))
	for _, name := range rel.Names {
		host, err := hostname.Parse(name)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		d, err := r.may(ctx, claimant{app: app}, b, host)
		if err == nil && d.Value.Kind == octo.DomainRedirect {
			err = octo.Errorf(octo.ErrConflict, "%s stays a redirect to %s", host, d.Value.Target).WithHint("serve it with: octo domains:add %s -a %s", host, app.Name)
		}
		if err == nil && d.Version == store.Absent {
			err = r.room(ctx, app.Name, has+len(wanted), []string{host})
		}
		switch {
		case err != nil && octo.Kind(err) == nil:
			return nil, nil, err
		case err != nil:
			refused = append(refused, err)
		case d.Version == store.Absent && !slices.ContainsFunc(wanted, func(w octo.Domain) bool { return w.Host == host }):
			wanted = append(wanted, octo.Domain{
				Host: host, App: app.Name, Kind: octo.DomainServe, Source: octo.DomainPushed, By: rel.Author, Added: now(),
			})
		}
	}
	return wanted, refused, nil
}

// Run heeds the CNAME files of releases whose push nobody follows to its end, until ctx
// is done: those that became live while their pusher was gone, or octo was.
func (r *Registry) Run(ctx context.Context) error {
	if err := r.tidy(ctx); err != nil && ctx.Err() == nil {
		r.Log.Warn("cannot look for names that nobody has", "err", err)
	}
	heeded := map[octo.Name]int{}
	for apps, err := range r.apps().Watch(ctx) {
		if err != nil {
			continue // the watch goes on by itself
		}
		for _, doc := range apps {
			app := doc.Value
			if app.Live <= max(app.NamesOf, heeded[app.Name]) || app.Destroying {
				continue
			}
			if err := r.catchUp(ctx, app, heeded[app.Name]); err != nil && ctx.Err() == nil {
				r.Log.Warn("cannot give an app the names in its CNAME file", "app", app.Name, "err", err)
				continue
			}
			heeded[app.Name] = app.Live
		}
	}
	return nil
}

// catchUp heeds the last release of an app that was live and has a word about names.
func (r *Registry) catchUp(ctx context.Context, app octo.App, known int) error {
	docs := store.Docs[octo.Release]{Store: r.Store, Prefix: store.ReleasesPrefix}
	for n := app.Live; n > max(app.NamesOf, known); n-- {
		doc, err := docs.Get(ctx, store.ReleaseName(app.Name, n))
		if errors.Is(err, octo.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read release %s %s: %w", app.Name, octo.Version(n), err)
		}
		if doc.Value.Outcome == octo.Live && doc.Value.Names != nil {
			_, _, err := r.Pushed(ctx, doc.Value)
			return err
		}
	}
	return nil
}

// tidy takes away names whose app is not there. None is left behind by octo itself; a
// store that was put together by hand may have some.
func (r *Registry) tidy(ctx context.Context) error {
	_, err := r.release(ctx, func(b book) ([]entry, error) {
		var lost []entry
		for _, e := range b {
			d := open(e)
			if d.Value.App == "" {
				continue // not to be read: leave it to a person
			}
			switch _, err := r.apps().Get(ctx, string(d.Value.App)); {
			case errors.Is(err, octo.ErrNotFound):
				lost = append(lost, d)
			case err != nil:
				return nil, fmt.Errorf("read app %s: %w", d.Value.App, err)
			}
		}
		return lost, nil
	})
	return err
}
