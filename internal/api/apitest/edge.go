package apitest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Domains implements api.Domains.
func (w *World) Domains(_ context.Context, app octo.Name) ([]octo.Domain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []octo.Domain{{Host: string(app) + ".example.test", App: app, Kind: octo.DomainServe, Source: octo.DomainDefault}}
	for _, d := range w.domains {
		if d.App == app {
			list = append(list, d)
		}
	}
	return list, nil
}

// AddDomains implements api.Domains.
func (w *World) AddDomains(_ context.Context, who octo.Identity, app octo.Name, names []string) ([]octo.Domain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []octo.Domain
	for _, host := range names {
		d := octo.Domain{Host: strings.ToLower(host), App: app, Kind: octo.DomainServe}
		if d.Host == "bücher.example" {
			d.Host, d.Unicode = "xn--bcher-kva.example", d.Host
		}
		list = append(list, d)
	}
	return list, w.giveDomains(who, list)
}

// giveDomains writes names down; w is locked.
func (w *World) giveDomains(who octo.Identity, list []octo.Domain) error {
	for _, d := range list {
		if slices.ContainsFunc(w.domains, func(x octo.Domain) bool { return x.Host == d.Host && x.App != d.App }) {
			return octo.Errorf(octo.ErrConflict, "%s is taken", d.Host).WithHint("ask an admin")
		}
	}
	for i := range list {
		d := &list[i]
		d.Source, d.By, d.Added = octo.DomainManual, who.User, w.Now()
		w.domains = append(slices.DeleteFunc(w.domains, func(x octo.Domain) bool { return x.Host == d.Host }), *d)
		w.happen(octo.Event{Kind: octo.EventDomainAdded, App: d.App, User: who.User, Message: d.Host + " added"})
	}
	return nil
}

// Redirect implements api.Domains.
func (w *World) Redirect(_ context.Context, who octo.Identity, app octo.Name, name, target string, code int) (octo.Domain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []octo.Domain{{Host: name, App: app, Kind: octo.DomainRedirect, Target: target, Code: code}}
	err := w.giveDomains(who, list)
	return list[0], err
}

// RemoveDomains implements api.Domains.
func (w *World) RemoveDomains(_ context.Context, _ octo.Identity, app octo.Name, kind octo.DomainKind, names []string) ([]octo.Domain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var gone []octo.Domain
	for _, host := range names {
		i := slices.IndexFunc(w.domains, func(d octo.Domain) bool { return d.Host == host && d.App == app && d.Kind == kind })
		if i < 0 {
			return nil, octo.Errorf(octo.ErrNotFound, "%s is no name of %s", host, app).WithHint("list them with: octo domains -a %s", app)
		}
		gone = append(gone, w.domains[i])
	}
	w.domains = slices.DeleteFunc(w.domains, func(d octo.Domain) bool { return slices.Contains(gone, d) })
	return gone, nil
}

// ClearDomains implements api.Domains.
func (w *World) ClearDomains(_ context.Context, _ octo.Identity, app octo.Name, kind octo.DomainKind) ([]octo.Domain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var gone, left []octo.Domain
	for _, d := range w.domains {
		if d.App == app && d.Kind == kind {
			gone = append(gone, d)
		} else {
			left = append(left, d)
		}
	}
	w.domains = left
	return gone, nil
}

// CheckDomains implements api.Domains: what is below away.example leads elsewhere.
func (w *World) CheckDomains(_ context.Context, app octo.Name) ([]octo.DomainCheck, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var checks []octo.DomainCheck
	for _, d := range w.domains {
		c := octo.DomainCheck{Host: d.Host, Here: true, Message: "leads here"}
		if strings.HasSuffix(d.Host, ".away.example") {
			c.Here, c.Message = false, "has no address"
		}
		if d.App == app {
			checks = append(checks, c)
		}
	}
	return checks, nil
}

// Maintenance implements api.Edge.
func (w *World) Maintenance(_ context.Context, app octo.Name) (octo.MaintenanceStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.maintenance(app), nil
}

func (w *World) maintenance(app octo.Name) octo.MaintenanceStatus {
	s := octo.MaintenanceStatus{App: app}
	if m := w.apps[app].Maintenance; m != nil {
		s.On, s.Maintenance = true, *m
	}
	return s
}

// SetMaintenance implements api.Edge.
func (w *World) SetMaintenance(_ context.Context, _ octo.Identity, app octo.Name, m *octo.Maintenance, html string) (octo.MaintenanceStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if html != "" {
		m.Page = fmt.Sprint("page-of-", len(html))
	}
	w.apps[app].Maintenance = m
	return w.maintenance(app), nil
}

// Edge implements api.Edge.
func (w *World) Edge(_ context.Context, app octo.Name) (octo.EdgeStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.edge(app), nil
}

func (w *World) edge(app octo.Name) octo.EdgeStatus {
	set, most := w.apps[app].Edge, octo.Edge{Timeout: octo.Duration(time.Hour)}
	return octo.EdgeStatus{Set: set, Holds: set.Within(octo.Edge{Timeout: octo.Duration(time.Minute)}, most), Most: most}
}

// SetEdge implements api.Edge.
func (w *World) SetEdge(_ context.Context, _ octo.Identity, app octo.Name, c octo.EdgeChange) (octo.EdgeStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Timeout != nil && c.Timeout.Std() > time.Hour {
		return octo.EdgeStatus{}, octo.Errorf(octo.ErrInvalid, "timeout=%s is more than this octohost allows", c.Timeout.Std()).WithHint("the most is 1h0m0s")
	}
	w.apps[app].Edge = c.Over(w.apps[app].Edge)
	return w.edge(app), nil
}
