package api

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/octohost/octohost/internal/octo"
)

// Runs runs programs beside the instances of an app, and inside of them.
type Runs interface {
	// Attach runs a program in the image of the app's release, with somebody attached,
	// until it has ended. When ctx ends, so does the program.
	Attach(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program, at octo.Attachment) (octo.Exit, error)
	// Enter is the same inside of a running instance ("web.1"); an empty one means the first.
	Enter(ctx context.Context, who octo.Identity, app octo.Name, instance string, p octo.Program, at octo.Attachment) (octo.Exit, error)
	// Detach starts a program to which nobody is attached.
	Detach(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program) (octo.Run, error)
	// Runs returns the runs of an app, oldest first.
	Runs(ctx context.Context, app octo.Name) ([]octo.Run, error)
	// StopRun ends a run, and returns it as it was; ErrNotFound.
	StopRun(ctx context.Context, who octo.Identity, app octo.Name, name string) (octo.Run, error)
	// RunLogs yields what a run prints, oldest first; ErrNotFound.
	RunLogs(ctx context.Context, app octo.Name, name string, q octo.LogQuery) iter.Seq2[octo.LogLine, error]
}

// runRoutes are the routes of runs.
func (s *Server) runRoutes() []route {
	return []route{
		{"GET /v1/apps/{app}/runs", octo.ActionAppRun, s.runs},
		{"POST /v1/apps/{app}/runs", octo.ActionAppRun, s.detach},
		{"POST /v1/apps/{app}/runs/attached", octo.ActionAppRun, s.run},
		{"DELETE /v1/apps/{app}/runs/{run}", octo.ActionAppRun, s.stopRun},
		{"GET /v1/apps/{app}/runs/{run}/logs", octo.ActionAppRun, s.runLogs},
		{"POST /v1/apps/{app}/enter", octo.ActionAppRun, s.enter},
	}
}

func (s *Server) run(c *call) error {
	return s.attach(c, func(ctx context.Context, req programRequest, at octo.Attachment) (octo.Exit, error) {
		return s.cfg.Runs.Attach(ctx, c.who, c.app, req.Program, at)
	})
}

func (s *Server) enter(c *call) error {
	return s.attach(c, func(ctx context.Context, req programRequest, at octo.Attachment) (octo.Exit, error) {
		return s.cfg.Runs.Enter(ctx, c.who, c.app, req.Instance, req.Program, at)
	})
}

func (s *Server) detach(c *call) error {
	var p octo.Program
	if err := decode(c.Body, &p); err != nil {
		return err
	}
	c.noteProgram(p)
	run, err := s.cfg.Runs.Detach(c.Context(), c.who, c.app, p)
	return s.answer(c, run, err)
}

func (s *Server) runs(c *call) error {
	runs, err := s.cfg.Runs.Runs(c.Context(), c.app)
	return s.answer(c, orEmpty(runs), err)
}

func (s *Server) stopRun(c *call) error {
	run, err := s.cfg.Runs.StopRun(c.Context(), c.who, c.app, c.PathValue("run"))
	return s.answer(c, run, err)
}

func (s *Server) runLogs(c *call) error {
	sel, err := parseSelection(c.URL.Query())
	if err != nil {
		return err
	}
	q := octo.LogQuery{Tail: sel.tail, Since: sel.since, Follow: sel.follow}
	return stream(c, s.cfg.Runs.RunLogs(c.Context(), c.app, c.PathValue("run"), q))
}

// Run runs a program in the image of an app's release, with the caller attached, and
// returns how it ended. When ctx ends, so does the program.
func (c *Client) Run(ctx context.Context, app octo.Name, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	return c.attach(ctx, appPath(app, "/runs/attached"), programRequest{Program: p}, at)
}

// Enter is the same inside of a running instance ("web.1"); an empty one means the first.
func (c *Client) Enter(ctx context.Context, app octo.Name, instance string, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	return c.attach(ctx, appPath(app, "/enter"), programRequest{Instance: instance, Program: p}, at)
}

// Detach starts a program to which nobody is attached.
func (c *Client) Detach(ctx context.Context, app octo.Name, p octo.Program) (octo.Run, error) {
	var out octo.Run
	err := c.ask(ctx, http.MethodPost, appPath(app, "/runs"), p, &out)
	return out, err
}

// Runs returns the runs of an app, oldest first.
func (c *Client) Runs(ctx context.Context, app octo.Name) ([]octo.Run, error) {
	var out []octo.Run
	err := c.ask(ctx, http.MethodGet, appPath(app, "/runs"), nil, &out)
	return out, err
}

// StopRun ends a run, and returns it as it was.
func (c *Client) StopRun(ctx context.Context, app octo.Name, name string) (octo.Run, error) {
	var out octo.Run
	err := c.ask(ctx, http.MethodDelete, appPath(app, "/runs/"+url.PathEscape(name)), nil, &out)
	return out, err
}

// RunLogs yields what a run prints.
func (c *Client) RunLogs(ctx context.Context, app octo.Name, name string, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	sel := selection{tail: q.Tail, since: q.Since, follow: q.Follow}
	return watch[octo.LogLine](ctx, c, appPath(app, "/runs/"+url.PathEscape(name)+"/logs?"+sel.values().Encode()))
}
