package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/octohost/octohost/internal/octo"
)

// Access says who may do what with apps.
type Access interface {
	// Access returns the roles that people have on an app, its owner's first.
	Access(ctx context.Context, app octo.Name) ([]octo.Grant, error)
	// SetRole gives user a role, or takes it away with ""; ErrConflict for the owner.
	SetRole(ctx context.Context, who octo.Identity, app octo.Name, user string, role octo.Role) ([]octo.Grant, error)
	// Transfer makes the app another user's.
	Transfer(ctx context.Context, who octo.Identity, app octo.Name, to string) ([]octo.Grant, error)
	// Users returns everybody who has a key or a role.
	Users(ctx context.Context) ([]octo.User, error)
}

type setRole struct {
	Role string `json:"role"`
}

type transfer struct {
	User string `json:"user"`
}

func (s *Server) users(c *call) error {
	users, err := s.cfg.Access.Users(c.Context())
	return s.answer(c, orEmpty(users), err)
}

func (s *Server) access(c *call) error {
	grants, err := s.cfg.Access.Access(c.Context(), c.app)
	return s.answer(c, orEmpty(grants), err)
}

func (s *Server) setRole(c *call) error {
	var req setRole
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	role, err := octo.ParseRole(req.Role)
	if err != nil {
		return err
	}
	c.note("role", req.Role)
	grants, err := s.cfg.Access.SetRole(c.Context(), c.who, c.app, c.PathValue("user"), role)
	return s.answer(c, orEmpty(grants), err)
}

func (s *Server) removeRole(c *call) error {
	grants, err := s.cfg.Access.SetRole(c.Context(), c.who, c.app, c.PathValue("user"), "")
	return s.answer(c, orEmpty(grants), err)
}

func (s *Server) transfer(c *call) error {
	var req transfer
	if err := decode(c.Body, &req); err != nil {
		return err
	}
	c.note("user", req.User)
	grants, err := s.cfg.Access.Transfer(c.Context(), c.who, c.app, req.User)
	return s.answer(c, orEmpty(grants), err)
}

// Users returns everybody who has a key or a role.
func (c *Client) Users(ctx context.Context) ([]octo.User, error) {
	var out []octo.User
	err := c.ask(ctx, http.MethodGet, "/v1/users", nil, &out)
	return out, err
}

// Access returns the roles that people have on an app, its owner's first.
func (c *Client) Access(ctx context.Context, app octo.Name) ([]octo.Grant, error) {
	var out []octo.Grant
	err := c.ask(ctx, http.MethodGet, appPath(app, "/access"), nil, &out)
	return out, err
}

// SetRole gives somebody a role on an app, or takes it away with "", and returns who
// has which then.
func (c *Client) SetRole(ctx context.Context, app octo.Name, user string, role octo.Role) ([]octo.Grant, error) {
	path, out := appPath(app, "/access/"+url.PathEscape(user)), []octo.Grant(nil)
	if role == "" {
		err := c.ask(ctx, http.MethodDelete, path, nil, &out)
		return out, err
	}
	err := c.ask(ctx, http.MethodPut, path, setRole{Role: string(role)}, &out)
	return out, err
}

// Transfer makes an app another user's, and returns who has which role then.
func (c *Client) Transfer(ctx context.Context, app octo.Name, to string) ([]octo.Grant, error) {
	var out []octo.Grant
	err := c.ask(ctx, http.MethodPut, appPath(app, "/owner"), transfer{User: to}, &out)
	return out, err
}
