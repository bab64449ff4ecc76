package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/octohost/octohost/internal/octo"
)

// Config is what a Server needs.
type Config struct {
	Apps          Apps
	Releases      Releases
	Keys          Keys
	Access        Access
	Activity      Activity
	Runs          Runs
	Processes     Processes
	Configuration Configuration
	Domains       Domains
	Edge          Edge
	Trail         Trail

	// Authorize decides whether who may do what to app (empty where the action has
	// none). It is asked before every handler; without it everything is denied.
	Authorize func(ctx context.Context, who octo.Identity, what octo.Action, app octo.Name) error
	// Audit keeps who did what; it may be nil. It is called before the answer to what it
	// tells of is sent.
	Audit func(octo.Audit)
	// Collect removes what nothing needs any more; it may be nil.
	Collect func(ctx context.Context, c octo.Collection) ([]octo.Garbage, error)
	// Doctor looks at the machine; it may be nil.
	Doctor func(ctx context.Context) []octo.Finding
	// Version is that of this octo.
	Version string
	// Log takes failures that nobody else is told about; nil discards them.
	Log *slog.Logger
}

// Server answers the API.
type Server struct {
	cfg Config
	mux *http.ServeMux
}

// NewServer returns a Server over cfg.
func NewServer(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Authorize == nil {
		cfg.Authorize = func(context.Context, octo.Identity, octo.Action, octo.Name) error {
			return octo.Errorf(octo.ErrDenied, "nobody may do anything here")
		}
	}
	if cfg.Audit == nil {
		cfg.Audit = func(octo.Audit) {}
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	for _, rt := range s.routes() {
		s.mux.Handle(rt.pattern, s.dispatch(rt))
	}
	return s
}

// identityKey is the context key of the octo.Identity that a door established. A
// request without one is from nobody, and is denied everything.
type identityKey struct{}

// Handler answers the requests of who. The door that calls it has established
// that identity.
func (s *Server) Handler(who octo.Identity) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	})
}

// call is one request on its way through a handler.
type call struct {
	*http.Request
	w   http.ResponseWriter
	out *frameWriter
	who octo.Identity
	app octo.Name // where the route has one
	// stream is the body of a request that goes on while it is answered: it has no end
	// that could be waited for.
	stream io.Reader

	trace trace
}

// dispatch is the way to every handler: who, which version, which app, may they?
func (s *Server) dispatch(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream := r.Body
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyOf(rt))
		w.Header().Set(versionHeader, s.cfg.Version)
		c := &call{Request: r, w: w, out: &frameWriter{w: w}, stream: stream, trace: trace{keep: s.cfg.Audit}}
		if r.Header.Get("Content-Type") == attachType {
			// Else an answer would wait for the end of the request, which waits for it.
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				s.cfg.Log.Warn("door has one direction at a time", "err", err)
			}
		}
		defer s.recovered(c)
		if err := s.admit(c, rt); err != nil {
			s.fail(c, err)
			return
		}
		if err := rt.handle(c); err != nil {
			s.fail(c, err)
		}
		c.conclude(nil)
	})
}

// admit fills in who and app, and asks whether they may.
func (s *Server) admit(c *call, rt route) error {
	who, ok := c.Context().Value(identityKey{}).(octo.Identity)
	if !ok || who.User == "" {
		return octo.Errorf(octo.ErrDenied, "nobody is logged in")
	}
	c.who, c.trace.audit = who, who.Audited(rt.pattern, "")
	if err := checkVersion(s.cfg.Version, c.Header.Get(versionHeader)); err != nil {
		return err
	}
	if rt.perApp() {
		app, err := octo.ParseName(c.PathValue("app"))
		if err != nil {
			return err
		}
		c.app, c.trace.audit.App = app, app
	}
	err := s.cfg.Authorize(c.Context(), who, rt.action, c.app)
	c.watch(rt, err)
	return err
}

// recovered turns a panic of a handler into an internal error: one request fails,
// and the daemon goes on.
func (s *Server) recovered(c *call) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		c.conclude(http.ErrAbortHandler)
		panic(p)
	default:
		s.fail(c, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}

// fail answers with err, as a status where that is still possible, else as the
// last frame.
func (s *Server) fail(c *call, err error) {
	c.conclude(err)
	wire, status := s.describe(c, err)
	if c.out.begun() {
		if err := c.out.send(frame{Error: &wire}); err != nil {
			s.cfg.Log.Debug("client went away", "path", c.URL.Path, "err", err)
		}
		return
	}
	s.respond(c, status, wire)
}

// describe says what the client is told of err, and with which status. What has no
// kind is logged whole, under an id that the answer names.
func (s *Server) describe(c *call, err error) (wireError, int) {
	wire, status := toWire(err)
	if status == http.StatusInternalServerError {
		id := rand.Text()
		wire.Message = "internal error " + id
		wire.Hint = "the log of octo serve says more; look for that id"
		s.cfg.Log.Error("request failed", "id", id, "method", c.Method, "path", c.URL.Path, "user", c.who.User, "err", err)
	}
	return wire, status
}

// respond sends v as the whole answer.
func (s *Server) respond(c *call, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.cfg.Log.Error("answer cannot be encoded", "path", c.URL.Path, "err", err)
		status, body = http.StatusInternalServerError, []byte(`{"kind":"internal","message":"internal error"}`)
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	if _, err := c.w.Write(append(body, '\n')); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		s.cfg.Log.Debug("client went away", "path", c.URL.Path, "err", err)
	}
}
