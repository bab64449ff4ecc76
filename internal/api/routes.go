package api

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// route is one thing that can be asked for. Its action is what permission is
// asked for before handle runs.
type route struct {
	pattern string
	action  octo.Action
	handle  func(*call) error
}

// perApp reports whether the route is about one app.
func (rt route) perApp() bool { return strings.Contains(rt.pattern, "{app}") }

// routes is the whole API. Nothing is reachable that is not in this table.
func (s *Server) routes() []route {
	return slices.Concat(s.runRoutes(), s.configRoutes(), s.processRoutes(), s.edgeRoutes(), []route{
		{"GET /v1/about", octo.ActionNone, s.about},
		{"GET /v1/doctor", octo.ActionAdmin, s.doctor},
		{"GET /v1/garbage", octo.ActionAdmin, s.garbage},
		{"DELETE /v1/garbage", octo.ActionAdmin, s.collect},

		{"GET /v1/apps", octo.ActionAppList, s.apps},
		{"POST /v1/apps", octo.ActionAppCreate, s.createApp},
		{"GET /v1/apps/{app}", octo.ActionAppRead, s.app},
		{"DELETE /v1/apps/{app}", octo.ActionAppManage, s.destroyApp},
		{"PUT /v1/apps/{app}/branch", octo.ActionAppManage, s.setBranch},

		{"GET /v1/apps/{app}/releases", octo.ActionAppRead, s.releases},
		{"GET /v1/apps/{app}/releases/{release}", octo.ActionAppRead, s.release},
		{"GET /v1/apps/{app}/releases/{release}/diff/{other}", octo.ActionAppRead, s.diffReleases},
		{"POST /v1/apps/{app}/rollback", octo.ActionAppDeploy, s.rollback},

		{"GET /v1/apps/{app}/instances", octo.ActionAppRead, s.instances},
		{"GET /v1/apps/{app}/logs", octo.ActionAppRead, s.logs},
		{"GET /v1/apps/{app}/events", octo.ActionAppRead, s.events},
		{"GET /v1/instances", octo.ActionAppList, s.instances},
		{"GET /v1/events", octo.ActionAppList, s.events},

		{"GET /v1/keys", octo.ActionAppList, s.keys},
		{"POST /v1/keys", octo.ActionAdmin, s.addKey},
		{"DELETE /v1/keys/{fingerprint}", octo.ActionAdmin, s.removeKey},
		{"GET /v1/apps/{app}/keys", octo.ActionAppManage, s.deployKeys},
		{"POST /v1/apps/{app}/keys", octo.ActionAppManage, s.addKey},
		{"DELETE /v1/apps/{app}/keys/{fingerprint}", octo.ActionAppManage, s.removeKey},

		{"GET /v1/audit", octo.ActionAppList, s.audit},
		{"GET /v1/apps/{app}/audit", octo.ActionAppManage, s.audit},
		{"GET /v1/users", octo.ActionAdmin, s.users},
		{"GET /v1/apps/{app}/access", octo.ActionAppRead, s.access},
		{"PUT /v1/apps/{app}/access/{user}", octo.ActionAppManage, s.setRole},
		{"DELETE /v1/apps/{app}/access/{user}", octo.ActionAppManage, s.removeRole},
		{"PUT /v1/apps/{app}/owner", octo.ActionAppManage, s.transfer},

		{"/", octo.ActionNone, s.unknown},
	})
}

// Rule is a route of the API with the action that permission is asked for.
type Rule struct {
	Pattern string // as of http.ServeMux: "GET /v1/apps/{app}"
	Action  octo.Action
}

// Rules returns every route that there is.
func Rules() []Rule {
	var rules []Rule
	for _, rt := range new(Server).routes() {
		rules = append(rules, Rule{rt.pattern, rt.action})
	}
	return rules
}

// About says which octo answers, and whom it takes you for.
type About struct {
	Version string `json:"version"`
	octo.Identity
}

func (s *Server) about(c *call) error {
	return s.answer(c, About{Version: s.cfg.Version, Identity: c.who}, nil)
}

func (s *Server) doctor(c *call) error {
	if s.cfg.Doctor == nil {
		return octo.Errorf(octo.ErrUnavailable, "this octohost has no doctor")
	}
	return s.answer(c, orEmpty(s.cfg.Doctor(c.Context())), nil)
}

func (s *Server) apps(c *call) error {
	apps, err := s.cfg.Apps.Apps(c.Context(), c.who)
	return s.answer(c, orEmpty(apps), err)
}

func (s *Server) app(c *call) error {
	app, err := s.cfg.Apps.App(c.Context(), c.app)
	return s.answer(c, app, err)
}

func (s *Server) createApp(c *call) error {
	var req createApp
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	name, err := octo.ParseName(req.Name)
	if err != nil {
		return err
	}
	c.trace.audit.App = name
	app, err := s.cfg.Apps.CreateApp(c.Context(), c.who, name)
	return s.answer(c, app, err)
}

func (s *Server) setBranch(c *call) error {
	var req setBranch
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	if req.Branch != "" {
		if err := octo.CheckBranch(req.Branch); err != nil {
			return err
		}
	}
	c.note("branch", req.Branch)
	app, err := s.cfg.Apps.SetBranch(c.Context(), c.who, c.app, req.Branch)
	return s.answer(c, app, err)
}

func (s *Server) destroyApp(c *call) error {
	return c.end(s.cfg.Apps.DestroyApp(c.Context(), c.who, c.app, c.out))
}

func (s *Server) releases(c *call) error {
	releases, err := s.cfg.Releases.Releases(c.Context(), c.app)
	return s.answer(c, orEmpty(releases), err)
}

func (s *Server) release(c *call) error {
	n, err := parseRelease(c.PathValue("release"))
	if err != nil {
		return err
	}
	release, err := s.cfg.Releases.Release(c.Context(), c.app, n)
	return s.answer(c, release, err)
}

func (s *Server) rollback(c *call) error {
	var req rollback
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	if req.To < 0 || req.To > maxRelease {
		return octo.Errorf(octo.ErrInvalid, "%d is not the number of a release", req.To)
	}
	if req.To > 0 {
		c.note("to", octo.Version(req.To))
	}
	return c.end(s.cfg.Releases.Rollback(c.Context(), c.who, c.app, req.To, c.out))
}

func (s *Server) instances(c *call) error {
	instances, err := s.cfg.Activity.Instances(c.Context(), c.who, c.app)
	return s.answer(c, orEmpty(instances), err)
}

func (s *Server) events(c *call) error {
	sel, err := parseSelection(c.URL.Query())
	if err != nil {
		return err
	}
	q := octo.EventQuery{App: c.app, Tail: sel.tail, Since: sel.since, Follow: sel.follow}
	return stream(c, s.cfg.Activity.Events(c.Context(), c.who, q))
}

// unknown answers whatever no other route takes.
func (s *Server) unknown(c *call) error {
	return octo.Errorf(octo.ErrNotFound, "octohost %s does not know %s %.80s", s.cfg.Version, c.Method, c.URL.Path).
		WithHint("is the octo on the other side of another version?")
}

// answer sends v, unless err says why there is none.
func (s *Server) answer(c *call, v any, err error) error {
	if err == nil {
		c.conclude(nil)
		s.respond(c, http.StatusOK, v)
	}
	return err
}

// end closes a streamed answer, unless err does.
func (c *call) end(err error) error {
	if err != nil {
		return err
	}
	c.conclude(nil)
	return c.out.send(frame{Done: true})
}

// stream sends every element of seq as it comes. It ends with the client: a
// failed write leaves the loop, and the request's context ends the sequence.
func stream[T any](c *call, seq iter.Seq2[T, error]) error {
	for v, err := range seq {
		if err != nil {
			return err
		}
		if err := c.out.item(v); err != nil {
			return octo.Errorf(octo.ErrUnavailable, "client went away: %v", err)
		}
	}
	return c.end(nil)
}

// orEmpty makes a list without elements "[]" in JSON, not "null".
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
