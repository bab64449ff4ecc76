package api

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/octohost/octohost/internal/octo"
)

// Processes shows and changes what runs of an app.
type Processes interface {
	// Processes returns the processes of the current release; none where there is none.
	Processes(ctx context.Context, app octo.Name) ([]octo.ProcessStatus, error)
	// ChangeFormation changes how many instances run, with which limits, restarts, stops
	// or starts them, and follows the rollout until it ended, writing progress to out;
	// ErrInvalid, ErrConflict.
	ChangeFormation(ctx context.Context, who octo.Identity, app octo.Name, edit octo.FormationEdit, out io.Writer) error
}

// processRoutes are the routes of processes.
func (s *Server) processRoutes() []route {
	return []route{
		{"GET /v1/apps/{app}/processes", octo.ActionAppRead, s.processes},
		{"PATCH /v1/apps/{app}/processes", octo.ActionAppChange, s.changeFormation},
	}
}

func (s *Server) processes(c *call) error {
	processes, err := s.cfg.Processes.Processes(c.Context(), c.app)
	return s.answer(c, orEmpty(processes), err)
}

func (s *Server) changeFormation(c *call) error {
	var edit octo.FormationEdit
	if err := decode(c.Body, &edit); err != nil {
		return err
	}
	if err := edit.Check(); err != nil {
		return err
	}
	c.note("change", edit.String())
	return c.end(s.cfg.Processes.ChangeFormation(c.Context(), c.who, c.app, edit, c.out))
}

func (s *Server) diffReleases(c *call) error {
	from, err := parseRelease(c.PathValue("release"))
	if err != nil {
		return err
	}
	to, err := parseRelease(c.PathValue("other"))
	if err != nil {
		return err
	}
	diff, err := s.cfg.Releases.DiffReleases(c.Context(), c.app, from, to)
	return s.answer(c, diff, err)
}

// Processes returns the processes of an app's current release.
func (c *Client) Processes(ctx context.Context, app octo.Name) ([]octo.ProcessStatus, error) {
	var out []octo.ProcessStatus
	err := c.ask(ctx, http.MethodGet, appPath(app, "/processes"), nil, &out)
	return out, err
}

// ChangeFormation changes what runs of an app, and returns when the rollout ended;
// progress goes to out.
func (c *Client) ChangeFormation(ctx context.Context, app octo.Name, edit octo.FormationEdit, out io.Writer) error {
	return c.follow(ctx, http.MethodPatch, appPath(app, "/processes"), edit, out)
}

// DiffReleases returns how release to of an app differs from release from.
func (c *Client) DiffReleases(ctx context.Context, app octo.Name, from, to int) (octo.ReleaseDiff, error) {
	var out octo.ReleaseDiff
	err := c.ask(ctx, http.MethodGet, appPath(app, fmt.Sprintf("/releases/%d/diff/%d", from, to)), nil, &out)
	return out, err
}
