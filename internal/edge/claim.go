package edge

import (
	"context"
	"errors"
	"fmt"

	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// claimant is an app that wants names, and who says so.
type claimant struct {
	app octo.App
	// who asks; the zero Identity is a push, which may do nothing that its app may not.
	who octo.Identity
}

// may decides whether the claimant may have a name, given the book. It returns what the
// app has of it already, or nothing.
func (r *Registry) may(ctx context.Context, c claimant, b book, host string) (entry, error) {
	d, given := b.find(host)
	if given && d.Value.App == c.app.Name {
		return d, nil
	}
	if given {
		return d, r.taken(ctx, c, host, d.Value)
	}
	if err := r.reserved(c, host); err != nil || r.own(c.app.Name, host) {
		return d, err
	}
	for _, near := range b.near(host, c.app.Name) {
		if allowed, err := r.allowed(ctx, c, octo.ActionAppChange, near.App); err != nil || !allowed {
			return d, errors.Join(err, r.taken(ctx, c, host, near))
		}
	}
	return d, nil
}

// own reports whether a name is the app's own name below the server's, or below that:
// nobody else can have it.
func (r *Registry) own(app octo.Name, host string) bool {
	name := octo.DefaultHost(app, r.Domain)
	return name != "" && hostname.Within(host, name)
}

// reserved refuses the names that belong to this server: its own, and those below it,
// which apps have by their own names.
func (r *Registry) reserved(c claimant, host string) error {
	own := octo.DefaultHost(c.app.Name, r.Domain)
	switch {
	case r.Domain == "", r.own(c.app.Name, host):
		return nil
	case hostname.IsWild(host) && hostname.Within(r.Domain, hostname.Base(host)):
		if c.who.Admin {
			return nil
		}
		return octo.Errorf(octo.ErrDenied, "%s covers %s, which is this server itself", host, r.Domain).WithHint("name the hosts one by one, or ask an admin")
	case host == r.Domain:
		if c.who.Admin {
			return nil
		}
		return octo.Errorf(octo.ErrDenied, "%s is this server itself", host).WithHint("ask an admin; an admin may give it to an app")
	case hostname.Within(host, r.Domain):
		return octo.Errorf(octo.ErrInvalid, "names below %s are those of the apps of this server", r.Domain).
			WithHint("%s answers at %s; that, and names below it, are its own", c.app.Name, own)
	}
	return nil
}

// allowed reports whether the claimant may do something to an app.
func (r *Registry) allowed(ctx context.Context, c claimant, what octo.Action, name octo.Name) (bool, error) {
	doc, err := r.apps().Get(ctx, string(name))
	if errors.Is(err, octo.ErrNotFound) {
		return true, nil // nobody's: what it left is on its way out
	}
	if err != nil {
		return false, fmt.Errorf("read app %s: %w", name, err)
	}
	return octo.Allowed(c.who, what, &doc.Value) == nil, nil
}

// taken says that somebody else has a name, or one that keeps it. Whose it is, is told
// only to those who may see that app.
func (r *Registry) taken(ctx context.Context, c claimant, host string, by octo.Domain) error {
	seen, err := r.allowed(ctx, c, octo.ActionAppRead, by.App)
	switch {
	case err != nil:
		return err
	case !seen:
		return octo.Errorf(octo.ErrConflict, "%s is taken", host).WithHint("it belongs to another app of this octohost, or a name above or below it does; ask an admin")
	case by.Host == host:
		return octo.Errorf(octo.ErrConflict, "%s is taken by %s", host, by.App).WithHint("take it away there first: octo domains:remove %s -a %s", host, by.App)
	}
	return octo.Errorf(octo.ErrConflict, "%s is taken: %s has %s", host, by.App, by.Host).WithHint("who may change %s can add it", by.App)
}

// room refuses names that would make an app's route too large, for itself and for those
// whose routes are kept in the same document.
func (r *Registry) room(ctx context.Context, app octo.Name, has int, more []string) error {
	if has+len(more) > octo.MaxDomains {
		return octo.Errorf(octo.ErrInvalid, "%s would have %d names, and %d is the most", app, has+len(more), octo.MaxDomains).
			WithHint("one name with *. in front stands for many")
	}
	e, err := r.Store.Get(ctx, store.RoutesPrefix+store.RouteShard(app))
	if err != nil && !errors.Is(err, octo.ErrNotFound) {
		return fmt.Errorf("read routes: %w", err)
	}
	size := len(e.Value)
	for _, host := range more {
		size += 2*len(host) + 400 // as a redirect to the longest target
	}
	if size > store.MaxValue*3/4 {
		return octo.Errorf(octo.ErrUnavailable, "there is no room for more names here").WithHint("take away names that are not used: octo domains -a %s", app)
	}
	return nil
}

// write gives the app a name that it may have; had is what it had of it before, if
// anything. That somebody else was faster is ErrConflict.
func (r *Registry) write(ctx context.Context, had entry, d octo.Domain) error {
	_, err := r.docs().Replace(ctx, d.Host, d, had.Version)
	if errors.Is(err, octo.ErrConflict) {
		return octo.Errorf(octo.ErrConflict, "%s was taken or changed at the same moment", d.Host).WithHint("try again")
	}
	if err != nil {
		return fmt.Errorf("write domain %s: %w", d.Host, err)
	}
	failpoint.Hit("edge-after-claim")
	return nil
}
