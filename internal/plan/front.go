package plan

import (
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Front fills in what visitors meet of app before they reach an instance: hosts,
// redirects, maintenance and limits. The instances of the route stay as they are. own
// are the app's names; byDefault is the one that it has without a document, or empty.
func Front(r *octo.Route, app *octo.App, own []octo.Domain, byDefault string) {
	r.Hosts, r.Redirects = make([]string, 0, 1+len(own)), nil
	if byDefault != "" {
		r.Hosts = append(r.Hosts, byDefault)
	}
	for _, d := range own {
		r.Hosts = append(r.Hosts, d.Host)
		if d.Kind == octo.DomainRedirect {
			r.Redirects = append(r.Redirects, octo.Redirect{Host: d.Host, Target: d.Target, Code: d.Code})
		}
	}
	r.Maintenance, r.Edge = app.Maintenance, app.Edge
}

// front completes the route of an app.
func (p *appPlan) front(r octo.Route) octo.Route {
	Front(&r, p.app, p.ix.names[p.app.Name], p.byDefault())
	web, ok := p.target.Process(octo.Web)
	r.Stopped = ok && web.Count == 0 && len(r.Backends) == 0
	return r
}

// byDefault returns the host that an app has by its name, unless there is a document
// about it: then that says whose it is.
func (p *appPlan) byDefault() string {
	host := octo.DefaultHost(p.app.Name, p.ix.world.Domain)
	if _, said := slices.BinarySearchFunc(p.ix.world.Domains, host, func(d octo.Domain, h string) int { return strings.Compare(d.Host, h) }); said {
		return ""
	}
	return host
}
