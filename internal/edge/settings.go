package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Edge returns what the proxy grants an app.
func (r *Registry) Edge(ctx context.Context, name octo.Name) (octo.EdgeStatus, error) {
	app, err := r.app(ctx, name)
	return r.granted(app.Edge), err
}

func (r *Registry) granted(set octo.Edge) octo.EdgeStatus {
	return octo.EdgeStatus{Set: set, Holds: set.Within(r.Otherwise, r.Most), Most: r.Most}
}

// The least that can be set: below it no app would work.
const (
	leastTime = octo.Duration(time.Second)
	leastBody = octo.Size(1 << 10)
)

// SetEdge changes what the proxy grants an app, from the next request on.
func (r *Registry) SetEdge(ctx context.Context, who octo.Identity, name octo.Name, c octo.EdgeChange) (octo.EdgeStatus, error) {
	if err := r.bounds(c); err != nil {
		return octo.EdgeStatus{}, err
	}
	app, err := r.update(ctx, who, name, "proxy: "+c.String(), func(a *octo.App) { a.Edge = c.Over(a.Edge) })
	if err != nil {
		return octo.EdgeStatus{}, err
	}
	r.live(ctx, name, func(route octo.Route) bool { return route.Edge == app.Edge })
	return r.granted(app.Edge), nil
}

// bounds refuses what would make an app useless, or is more than the operator allows.
func (r *Registry) bounds(c octo.EdgeChange) error {
	for _, t := range []struct {
		what string
		set  *octo.Duration
		most octo.Duration
	}{{"timeout", c.Timeout, r.Most.Timeout}, {"idle", c.Idle, r.Most.Idle}} {
		switch {
		case t.set == nil || *t.set == 0:
		case *t.set < leastTime:
			return octo.Errorf(octo.ErrInvalid, "%s=%s is too short", t.what, t.set.Std()).WithHint("the least is %s", leastTime.Std())
		case t.most > 0 && *t.set > t.most:
			return octo.Errorf(octo.ErrInvalid, "%s=%s is more than this octohost allows", t.what, t.set.Std()).WithHint("the most is %s", t.most.Std())
		}
	}
	switch most := r.Most.Body; {
	case c.Body == nil || *c.Body == 0:
	case *c.Body < leastBody:
		return octo.Errorf(octo.ErrInvalid, "body=%s is too little", *c.Body).WithHint("the least is %s", leastBody)
	case most > 0 && *c.Body > most:
		return octo.Errorf(octo.ErrInvalid, "body=%s is more than this octohost allows", *c.Body).WithHint("the most is %s", most)
	}
	return nil
}

// Maintenance reports whether an app is closed, and what visitors are told.
func (r *Registry) Maintenance(ctx context.Context, name octo.Name) (octo.MaintenanceStatus, error) {
	app, err := r.app(ctx, name)
	return maintenanceOf(app), err
}

func maintenanceOf(app octo.App) octo.MaintenanceStatus {
	s := octo.MaintenanceStatus{App: app.Name, On: app.Maintenance != nil}
	if s.On {
		s.Maintenance = *app.Maintenance
	}
	return s
}

// The most that visitors are told, in characters, and for how long they are sent away.
const (
	maxMessage = 500
	maxRetry   = octo.Duration(7 * 24 * time.Hour)
)

// SetMaintenance closes an app to its visitors, or, with nil, opens it again. Browsers get
// html, unless that is empty.
func (r *Registry) SetMaintenance(ctx context.Context, who octo.Identity, name octo.Name, m *octo.Maintenance, html string) (octo.MaintenanceStatus, error) {
	what := "maintenance off"
	if m != nil {
		if err := checkMaintenance(*m, html); err != nil {
			return octo.MaintenanceStatus{}, err
		}
		what = "maintenance on"
		m.Page = pageID(html)
	}
	if html != "" {
		if err := r.writePage(ctx, name, octo.Page{ID: m.Page, HTML: html}); err != nil {
			return octo.MaintenanceStatus{}, err
		}
	}
	app, err := r.update(ctx, who, name, what, func(a *octo.App) { a.Maintenance = m })
	if err != nil {
		return octo.MaintenanceStatus{}, err
	}
	r.live(ctx, name, func(route octo.Route) bool {
		return (route.Maintenance == nil) == (m == nil) && (m == nil || *route.Maintenance == *m)
	})
	if html == "" {
		err = r.dropPage(ctx, name) // which nothing names any more
	}
	return maintenanceOf(app), err
}

func checkMaintenance(m octo.Maintenance, html string) error {
	bad := strings.ContainsFunc(m.Message, func(c rune) bool { return unicode.IsControl(c) && c != '\n' })
	switch {
	case !utf8.ValidString(m.Message) || bad:
		return octo.Errorf(octo.ErrInvalid, "the message contains control characters").WithHint("write plain text")
	case utf8.RuneCountInString(m.Message) > maxMessage:
		return octo.Errorf(octo.ErrInvalid, "the message has more than %d characters", maxMessage).WithHint("visitors read a sentence or two")
	case len(html) > octo.MaxPage || !utf8.ValidString(html):
		return octo.Errorf(octo.ErrInvalid, "the page has %d bytes", len(html)).WithHint("a page has at most %s of UTF-8", octo.Size(octo.MaxPage))
	case m.Retry > maxRetry:
		return octo.Errorf(octo.ErrInvalid, "visitors cannot be sent away for %s", m.Retry.Std()).WithHint("the most is %s", maxRetry.Std())
	}
	return nil
}

// update changes the document of an app, and notes what was changed.
func (r *Registry) update(ctx context.Context, who octo.Identity, name octo.Name, what string, change func(*octo.App)) (octo.App, error) {
	changed := false
	app, err := r.apps().Update(ctx, string(name), func(a *octo.App) error {
		if a.Destroying {
			return octo.NoSuchApp(name)
		}
		before := *a
		change(a)
		if changed = !sameSettings(before, *a); !changed {
			return store.ErrUnchanged
		}
		return nil
	})
	switch {
	case errors.Is(err, octo.ErrNotFound):
		return app, octo.NoSuchApp(name)
	case err != nil:
		return app, fmt.Errorf("write app %s: %w", name, err)
	case changed:
		r.Record(octo.Event{Kind: octo.EventAppChanged, App: name, User: who.User, Message: what})
	}
	return app, nil
}

func sameSettings(a, b octo.App) bool {
	closed := a.Maintenance != nil
	return a.Edge == b.Edge && closed == (b.Maintenance != nil) && (!closed || *a.Maintenance == *b.Maintenance)
}
