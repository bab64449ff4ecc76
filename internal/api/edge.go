package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Domains gives names to apps and takes them away. Whatever it changes is live when it
// returns.
type Domains interface {
	// Domains returns all names of an app, redirects included, that which it has by
	// default first.
	Domains(ctx context.Context, app octo.Name) ([]octo.Domain, error)
	// AddDomains gives an app all of the names, or none when one is refused: ErrInvalid,
	// ErrConflict, ErrDenied.
	AddDomains(ctx context.Context, who octo.Identity, app octo.Name, names []string) ([]octo.Domain, error)
	// Redirect gives an app a name whose visitors are sent to target; code 0 means 308.
	Redirect(ctx context.Context, who octo.Identity, app octo.Name, name, target string, code int) (octo.Domain, error)
	// RemoveDomains takes all of the names, which are of a kind, or none: ErrNotFound,
	// ErrConflict.
	RemoveDomains(ctx context.Context, who octo.Identity, app octo.Name, kind octo.DomainKind, names []string) ([]octo.Domain, error)
	// ClearDomains takes all names of a kind.
	ClearDomains(ctx context.Context, who octo.Identity, app octo.Name, kind octo.DomainKind) ([]octo.Domain, error)
	// CheckDomains asks the DNS where the names lead.
	CheckDomains(ctx context.Context, app octo.Name) ([]octo.DomainCheck, error)
}

// Edge closes apps to their visitors, and sets what the proxy grants them. Whatever it
// changes is live when it returns.
type Edge interface {
	// Maintenance reports whether an app is closed.
	Maintenance(ctx context.Context, app octo.Name) (octo.MaintenanceStatus, error)
	// SetMaintenance closes an app, or, with nil, opens it. Browsers get html, unless that
	// is empty.
	SetMaintenance(ctx context.Context, who octo.Identity, app octo.Name, m *octo.Maintenance, html string) (octo.MaintenanceStatus, error)
	// Edge returns what the proxy grants an app.
	Edge(ctx context.Context, app octo.Name) (octo.EdgeStatus, error)
	// SetEdge changes it; ErrInvalid when that is more than the operator allows.
	SetEdge(ctx context.Context, who octo.Identity, app octo.Name, change octo.EdgeChange) (octo.EdgeStatus, error)
}

// edgeRoutes are the routes of what stands in front of apps.
func (s *Server) edgeRoutes() []route {
	return []route{
		{"GET /v1/apps/{app}/domains", octo.ActionAppRead, s.domains},
		{"POST /v1/apps/{app}/domains", octo.ActionAppChange, s.addDomains},
		{"DELETE /v1/apps/{app}/domains", octo.ActionAppChange, s.removeDomains},
		{"GET /v1/apps/{app}/domains/check", octo.ActionAppRead, s.checkDomains},
		{"POST /v1/apps/{app}/redirects", octo.ActionAppChange, s.redirect},
		{"GET /v1/apps/{app}/maintenance", octo.ActionAppRead, s.maintenance},
		{closePattern, octo.ActionAppChange, s.closeApp},
		{"DELETE /v1/apps/{app}/maintenance", octo.ActionAppChange, s.openApp},
		{"GET /v1/apps/{app}/proxy", octo.ActionAppRead, s.edge},
		{"PATCH /v1/apps/{app}/proxy", octo.ActionAppChange, s.setEdge},
	}
}

// closePattern is a route whose requests may be large: they bring a page.
const closePattern = "PUT /v1/apps/{app}/maintenance"

type closeApp struct {
	Message string        `json:"message"`
	Retry   octo.Duration `json:"retry"`
	HTML    string        `json:"html"`
}

// maxHosts is how many names one request may speak of.
const maxHosts = 100

type addDomains struct {
	Hosts []string `json:"hosts"`
}

type addRedirect struct {
	Host   string `json:"host"`
	Target string `json:"target"`
	Code   int    `json:"code"` // 0 means 308
}

func (s *Server) domains(c *call) error {
	list, err := s.cfg.Domains.Domains(c.Context(), c.app)
	return s.answer(c, orEmpty(list), err)
}

func (s *Server) addDomains(c *call) error {
	var req addDomains
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	c.note("hosts", strings.Join(req.Hosts, " "))
	if len(req.Hosts) > maxHosts {
		return octo.Errorf(octo.ErrInvalid, "%d names are too many at once", len(req.Hosts)).WithHint("the most is %d", maxHosts)
	}
	list, err := s.cfg.Domains.AddDomains(c.Context(), c.who, c.app, req.Hosts)
	return s.answer(c, orEmpty(list), err)
}

// removeDomains takes the names in the query, or all of a kind where it says so.
func (s *Server) removeDomains(c *call) error {
	q := c.URL.Query()
	for name := range q {
		if name != "host" && name != "kind" && name != "all" {
			return octo.Errorf(octo.ErrInvalid, "there is no parameter %.40q here", name)
		}
	}
	kind, hosts := octo.DomainKind(q.Get("kind")), q["host"]
	c.note("kind", string(kind))
	c.note("hosts", strings.Join(hosts, " "))
	switch {
	case kind != octo.DomainServe && kind != octo.DomainRedirect:
		return octo.Errorf(octo.ErrInvalid, "kind=%.40q is neither %s nor %s", kind, octo.DomainServe, octo.DomainRedirect)
	case len(hosts) > maxHosts:
		return octo.Errorf(octo.ErrInvalid, "%d names are too many at once", len(hosts)).WithHint("the most is %d", maxHosts)
	case q.Get("all") == "true" && len(hosts) == 0:
		list, err := s.cfg.Domains.ClearDomains(c.Context(), c.who, c.app, kind)
		return s.answer(c, orEmpty(list), err)
	}
	list, err := s.cfg.Domains.RemoveDomains(c.Context(), c.who, c.app, kind, hosts)
	return s.answer(c, orEmpty(list), err)
}

func (s *Server) checkDomains(c *call) error {
	list, err := s.cfg.Domains.CheckDomains(c.Context(), c.app)
	return s.answer(c, orEmpty(list), err)
}

func (s *Server) redirect(c *call) error {
	var req addRedirect
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	c.note("hosts", req.Host)
	c.note("target", req.Target)
	d, err := s.cfg.Domains.Redirect(c.Context(), c.who, c.app, req.Host, req.Target, req.Code)
	return s.answer(c, d, err)
}

func (s *Server) maintenance(c *call) error {
	status, err := s.cfg.Edge.Maintenance(c.Context(), c.app)
	return s.answer(c, status, err)
}

func (s *Server) closeApp(c *call) error {
	var req closeApp
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	c.note("message", req.Message)
	status, err := s.cfg.Edge.SetMaintenance(c.Context(), c.who, c.app, &octo.Maintenance{Message: req.Message, Retry: req.Retry}, req.HTML)
	return s.answer(c, status, err)
}

func (s *Server) openApp(c *call) error {
	status, err := s.cfg.Edge.SetMaintenance(c.Context(), c.who, c.app, nil, "")
	return s.answer(c, status, err)
}

func (s *Server) edge(c *call) error {
	status, err := s.cfg.Edge.Edge(c.Context(), c.app)
	return s.answer(c, status, err)
}

func (s *Server) setEdge(c *call) error {
	var req octo.EdgeChange
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	c.note("set", req.String())
	status, err := s.cfg.Edge.SetEdge(c.Context(), c.who, c.app, req)
	return s.answer(c, status, err)
}

// Domains returns all names of an app, redirects included.
func (c *Client) Domains(ctx context.Context, app octo.Name) ([]octo.Domain, error) {
	var out []octo.Domain
	err := c.ask(ctx, http.MethodGet, appPath(app, "/domains"), nil, &out)
	return out, err
}

// AddDomains gives an app names: all of them, or none.
func (c *Client) AddDomains(ctx context.Context, app octo.Name, hosts []string) ([]octo.Domain, error) {
	var out []octo.Domain
	err := c.ask(ctx, http.MethodPost, appPath(app, "/domains"), addDomains{Hosts: hosts}, &out)
	return out, err
}

// RemoveDomains takes names of a kind from an app: all of them, or none.
func (c *Client) RemoveDomains(ctx context.Context, app octo.Name, kind octo.DomainKind, hosts []string) ([]octo.Domain, error) {
	return c.takeDomains(ctx, app, url.Values{"kind": {string(kind)}, "host": hosts})
}

// ClearDomains takes all names of a kind from an app.
func (c *Client) ClearDomains(ctx context.Context, app octo.Name, kind octo.DomainKind) ([]octo.Domain, error) {
	return c.takeDomains(ctx, app, url.Values{"kind": {string(kind)}, "all": {"true"}})
}

func (c *Client) takeDomains(ctx context.Context, app octo.Name, query url.Values) ([]octo.Domain, error) {
	var out []octo.Domain
	err := c.ask(ctx, http.MethodDelete, appPath(app, "/domains?"+query.Encode()), nil, &out)
	return out, err
}

// CheckDomains asks the DNS where the names of an app lead.
func (c *Client) CheckDomains(ctx context.Context, app octo.Name) ([]octo.DomainCheck, error) {
	var out []octo.DomainCheck
	err := c.ask(ctx, http.MethodGet, appPath(app, "/domains/check"), nil, &out)
	return out, err
}

// Redirect gives an app a name whose visitors are sent to target; code 0 means 308.
func (c *Client) Redirect(ctx context.Context, app octo.Name, host, target string, code int) (octo.Domain, error) {
	var out octo.Domain
	err := c.ask(ctx, http.MethodPost, appPath(app, "/redirects"), addRedirect{host, target, code}, &out)
	return out, err
}

// Maintenance reports whether an app is closed to its visitors.
func (c *Client) Maintenance(ctx context.Context, app octo.Name) (octo.MaintenanceStatus, error) {
	var out octo.MaintenanceStatus
	err := c.ask(ctx, http.MethodGet, appPath(app, "/maintenance"), nil, &out)
	return out, err
}

// SetMaintenance closes an app to its visitors, or, with nil, opens it. Browsers get html,
// unless that is empty.
func (c *Client) SetMaintenance(ctx context.Context, app octo.Name, m *octo.Maintenance, html string) (octo.MaintenanceStatus, error) {
	var out octo.MaintenanceStatus
	if m == nil {
		err := c.ask(ctx, http.MethodDelete, appPath(app, "/maintenance"), nil, &out)
		return out, err
	}
	err := c.ask(ctx, http.MethodPut, appPath(app, "/maintenance"), closeApp{m.Message, m.Retry, html}, &out)
	return out, err
}

// Edge returns what the proxy grants an app.
func (c *Client) Edge(ctx context.Context, app octo.Name) (octo.EdgeStatus, error) {
	var out octo.EdgeStatus
	err := c.ask(ctx, http.MethodGet, appPath(app, "/proxy"), nil, &out)
	return out, err
}

// SetEdge changes what the proxy grants an app.
func (c *Client) SetEdge(ctx context.Context, app octo.Name, change octo.EdgeChange) (octo.EdgeStatus, error) {
	var out octo.EdgeStatus
	err := c.ask(ctx, http.MethodPatch, appPath(app, "/proxy"), change, &out)
	return out, err
}
