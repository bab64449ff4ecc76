package edge

import (
	"context"
	"fmt"
	"slices"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Domains returns all names of an app, that which it has by default first.
func (r *Registry) Domains(ctx context.Context, app octo.Name) ([]octo.Domain, error) {
	b, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	var list []octo.Domain
	host := octo.DefaultHost(app, r.Domain)
	if _, said := b.find(host); host != "" && !said {
		list = append(list, octo.Domain{Host: host, App: app, Kind: octo.DomainServe, Source: octo.DomainDefault})
	}
	for _, d := range b.of(app) {
		list = append(list, shown(d.Value))
	}
	return list, nil
}

// shown returns a domain as people see it.
func shown(d octo.Domain) octo.Domain {
	if text := hostname.Unicode(d.Host); text != d.Host {
		d.Unicode = text
	}
	return d
}

// AddDomains gives an app names: all of them, or none when one is refused. A name that
// it has as a redirect, or by a push, becomes one that it serves by somebody's word.
func (r *Registry) AddDomains(ctx context.Context, who octo.Identity, app octo.Name, names []string) ([]octo.Domain, error) {
	hosts, err := parse(names)
	if err != nil {
		return nil, err
	}
	var wanted []octo.Domain
	for _, host := range hosts {
		wanted = append(wanted, octo.Domain{Host: host, App: app, Kind: octo.DomainServe})
	}
	return r.give(ctx, who, app, wanted)
}

// Redirect gives an app a name from which visitors are sent to target.
func (r *Registry) Redirect(ctx context.Context, who octo.Identity, app octo.Name, name, target string, code int) (octo.Domain, error) {
	host, err := hostname.Parse(name)
	if err != nil {
		return octo.Domain{}, err
	}
	target, err = hostname.ParseTarget(target)
	if err != nil {
		return octo.Domain{}, err
	}
	if code == 0 {
		code = DefaultCode
	}
	if !slices.Contains([]int{301, 302, 307, 308}, code) {
		return octo.Domain{}, octo.Errorf(octo.ErrInvalid, "%d is no code of a redirect", code).WithHint("use 301 or 308 for good, 302 or 307 for now")
	}
	list, err := r.give(ctx, who, app, []octo.Domain{{Host: host, App: app, Kind: octo.DomainRedirect, Target: target, Code: code}})
	if err != nil {
		return octo.Domain{}, err
	}
	return list[0], nil
}

// DefaultCode is the status of a redirect of which nobody says more: for good, and with
// the method that the visitor used (RFC 9110 §15.4.9).
const DefaultCode = 308

// give gives an app names that somebody asks for, and returns when visitors meet them.
func (r *Registry) give(ctx context.Context, who octo.Identity, name octo.Name, wanted []octo.Domain) ([]octo.Domain, error) {
	given, changed, err := r.claim(ctx, who, name, wanted)
	for _, d := range changed {
		r.Record(octo.Event{Kind: octo.EventDomainAdded, App: name, User: who.User, Message: described(d)})
	}
	if err != nil {
		return nil, err
	}
	r.live(ctx, name, func(route octo.Route) bool {
		return !slices.ContainsFunc(wanted, func(d octo.Domain) bool {
			sent := octo.Redirect{}
			if i := slices.IndexFunc(route.Redirects, func(x octo.Redirect) bool { return x.Host == d.Host }); i >= 0 {
				sent = route.Redirects[i]
			}
			return !slices.Contains(route.Hosts, d.Host) || sent.Target != d.Target || sent.Code != d.Code
		})
	})
	return given, nil
}

// described says what became of a name.
func described(d octo.Domain) string {
	if d.Kind == octo.DomainRedirect {
		return fmt.Sprintf("%s redirects to %s (%d)", d.Host, d.Target, d.Code)
	}
	return d.Host + " added"
}

// claim checks all that is wanted, and then writes it. It returns what the app has in
// the end, and what of it was written now, also when that could not be brought to its
// end.
func (r *Registry) claim(ctx context.Context, who octo.Identity, name octo.Name, wanted []octo.Domain) (given, changed []octo.Domain, err error) {
	r.claims.Lock()
	defer r.claims.Unlock()
	app, err := r.app(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	b, err := r.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	had := make([]entry, len(wanted))
	var fresh []string
	for i, d := range wanted {
		if had[i], err = r.may(ctx, claimant{app, who}, b, d.Host); err != nil {
			return nil, nil, err
		}
		if had[i].Version == store.Absent {
			fresh = append(fresh, d.Host)
		}
		if d.Kind == octo.DomainRedirect && b.loops(d) {
			return nil, nil, octo.Errorf(octo.ErrInvalid, "visitors of %s would be sent in a circle", d.Host).WithHint("see where names lead: octo redirects -a %s", name)
		}
	}
	if err := r.room(ctx, name, len(b.of(name)), fresh); err != nil && len(fresh) > 0 {
		return nil, nil, err
	}
	for i, d := range wanted {
		was := had[i].Value
		if d.Source, d.By, d.Added = octo.DomainManual, who.User, now(); same(was, d) {
			given = append(given, shown(was))
			continue
		}
		if err := r.write(ctx, had[i], d); err != nil {
			return nil, changed, err
		}
		changed, given = append(changed, d), append(given, shown(d))
	}
	return given, changed, nil
}

// same reports whether two domains differ at most in who asked for them, and when.
func same(a, b octo.Domain) bool {
	a.By, a.Added = b.By, b.Added
	return a == b
}

// parse returns names in their normal form, without repetition.
func parse(names []string) ([]string, error) {
	var hosts []string
	for _, name := range names {
		host, err := hostname.Parse(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "no name is given")
	}
	return hosts, nil
}

// RemoveDomains takes names of a kind from an app: all of them, or none when one is not
// its own.
func (r *Registry) RemoveDomains(ctx context.Context, who octo.Identity, app octo.Name, kind octo.DomainKind, names []string) ([]octo.Domain, error) {
	hosts, err := parse(names)
	if err != nil {
		return nil, err
	}
	return r.take(ctx, who, app, func(b book) ([]entry, error) {
		var gone []entry
		for _, host := range hosts {
			d, ok := b.find(host)
			if !ok || d.Value.App != app || d.Value.Kind != kind {
				return nil, r.notOurs(app, kind, host, d.Value)
			}
			gone = append(gone, d)
		}
		return gone, nil
	})
}

// notOurs says why a name cannot be taken from an app.
func (r *Registry) notOurs(app octo.Name, kind octo.DomainKind, host string, d octo.Domain) error {
	list := map[octo.DomainKind]string{octo.DomainServe: "domains", octo.DomainRedirect: "redirects"}
	switch {
	case d.App == app && d.Kind == octo.DomainRedirect:
		return octo.Errorf(octo.ErrConflict, "%s is a redirect of %s", host, app).WithHint("remove it with: octo redirects:remove %s -a %s", host, app)
	case d.App == app:
		return octo.Errorf(octo.ErrConflict, "%s is served by %s, and no redirect", host, app).WithHint("remove it with: octo domains:remove %s -a %s", host, app)
	case host == octo.DefaultHost(app, r.Domain) && kind == octo.DomainServe:
		return octo.Errorf(octo.ErrInvalid, "%s answers at %s by its own name", app, host).WithHint("send its visitors elsewhere with: octo redirects:add %s HOST -a %s", host, app)
	}
	return octo.Errorf(octo.ErrNotFound, "%s is no name of %s", host, app).WithHint("list them with: octo %s -a %s", list[kind], app)
}

// ClearDomains takes all names of a kind from an app.
func (r *Registry) ClearDomains(ctx context.Context, who octo.Identity, app octo.Name, kind octo.DomainKind) ([]octo.Domain, error) {
	return r.take(ctx, who, app, func(b book) ([]entry, error) {
		return slices.DeleteFunc(b.of(app), func(d entry) bool { return d.Value.Kind != kind }), nil
	})
}

// take takes the names that choose returns from an app, and returns when visitors do not
// meet them any more.
func (r *Registry) take(ctx context.Context, who octo.Identity, app octo.Name, choose func(book) ([]entry, error)) ([]octo.Domain, error) {
	gone, err := r.release(ctx, choose)
	for _, d := range gone {
		r.Record(octo.Event{Kind: octo.EventDomainRemoved, App: app, User: who.User, Message: d.Host + " removed"})
	}
	if err != nil {
		return nil, err
	}
	byDefault := octo.DefaultHost(app, r.Domain)
	r.live(ctx, app, func(route octo.Route) bool {
		return !slices.ContainsFunc(gone, func(d octo.Domain) bool {
			redirects := slices.ContainsFunc(route.Redirects, func(x octo.Redirect) bool { return x.Host == d.Host })
			return redirects || d.Host != byDefault && slices.Contains(route.Hosts, d.Host)
		})
	})
	return gone, nil
}

// release deletes the documents that choose returns. It returns those that are gone,
// also when that could not be brought to its end.
func (r *Registry) release(ctx context.Context, choose func(book) ([]entry, error)) (gone []octo.Domain, err error) {
	r.claims.Lock()
	defer r.claims.Unlock()
	b, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(b)
	if err != nil {
		return nil, err
	}
	for _, d := range chosen {
		if err := r.docs().Delete(ctx, d.Name); err != nil {
			return gone, fmt.Errorf("delete domain %s: %w", d.Name, err)
		}
		gone = append(gone, shown(d.Value))
	}
	return gone, nil
}

// Forget takes all names from an app that is being destroyed. None can be given to it
// any more.
func (r *Registry) Forget(ctx context.Context, app octo.Name) error {
	_, err := r.release(ctx, func(b book) ([]entry, error) { return b.of(app), nil })
	if err != nil {
		return err
	}
	return r.dropPage(ctx, app)
}

// Hosts returns the names that an app serves besides its own, by app; of all apps when
// app is empty.
func (r *Registry) Hosts(ctx context.Context, app octo.Name) (map[octo.Name][]string, error) {
	b, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	hosts := map[octo.Name][]string{}
	add := func(d octo.Domain) {
		if d.Kind == octo.DomainServe && d.Host != octo.DefaultHost(d.App, r.Domain) {
			hosts[d.App] = append(hosts[d.App], d.Host)
		}
	}
	if app != "" {
		for _, d := range b.of(app) {
			add(d.Value)
		}
		return hosts, nil
	}
	for _, e := range b {
		add(open(e).Value)
	}
	return hosts, nil
}
