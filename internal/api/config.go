package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Configuration shows and changes the environment of apps.
type Configuration interface {
	// AppConfig returns what a configuration consists of, with its values if they are to
	// be seen; ErrNotFound.
	AppConfig(ctx context.Context, app octo.Name, ref octo.ConfigRef, reveal bool) (octo.ConfigView, error)
	// ConfigHistory returns its versions, newest first.
	ConfigHistory(ctx context.Context, app octo.Name) ([]octo.ConfigVersion, error)
	// ConfigDiff returns how a configuration differs from another, without values.
	ConfigDiff(ctx context.Context, app octo.Name, from, to octo.ConfigRef) ([]octo.ConfigDiff, error)
	// ChangeConfig changes it, and follows the rollout until it ended, writing progress
	// to out; ErrInvalid, ErrConflict.
	ChangeConfig(ctx context.Context, who octo.Identity, app octo.Name, edit octo.ConfigEdit, out io.Writer) (octo.ConfigResult, error)
}

// changeConfigPattern is the route whose requests may be large.
const changeConfigPattern = "PATCH /v1/apps/{app}/config"

// configRoutes are the routes of apps' environments. Values are shown by one of them
// only.
func (s *Server) configRoutes() []route {
	return []route{
		{"GET /v1/apps/{app}/config", octo.ActionAppRead, s.config},
		{"GET /v1/apps/{app}/config/values", octo.ActionAppSecret, s.configValues},
		{"GET /v1/apps/{app}/config/history", octo.ActionAppRead, s.configHistory},
		{"GET /v1/apps/{app}/config/diff", octo.ActionAppRead, s.configDiff},
		{changeConfigPattern, octo.ActionAppSecret, s.changeConfig},
	}
}

// maxConfigBody is the most that a change of an environment may have in bytes: a byte
// of a value may take six in JSON.
const maxConfigBody = 6*octo.MaxConfig + octo.MaxConfigNames*256

// maxBodyOf returns the most that a request of a route may carry, in bytes.
func maxBodyOf(rt route) int64 {
	switch rt.pattern {
	case changeConfigPattern:
		return maxConfigBody
	case closePattern:
		return maxBody + 6*octo.MaxPage // a byte of it may take six in JSON
	}
	return maxBody
}

func (s *Server) config(c *call) error       { return s.showConfig(c, false) }
func (s *Server) configValues(c *call) error { return s.showConfig(c, true) }

func (s *Server) showConfig(c *call, reveal bool) error {
	refs, err := configRefs(c.URL.Query(), "at")
	if err != nil {
		return err
	}
	c.note("at", refs[0].String())
	view, err := s.cfg.Configuration.AppConfig(c.Context(), c.app, refs[0], reveal)
	return s.answer(c, view, err)
}

func (s *Server) configHistory(c *call) error {
	versions, err := s.cfg.Configuration.ConfigHistory(c.Context(), c.app)
	return s.answer(c, orEmpty(versions), err)
}

func (s *Server) configDiff(c *call) error {
	refs, err := configRefs(c.URL.Query(), "from", "to")
	if err != nil {
		return err
	}
	diff, err := s.cfg.Configuration.ConfigDiff(c.Context(), c.app, refs[0], refs[1])
	return s.answer(c, orEmpty(diff), err)
}

func (s *Server) changeConfig(c *call) error {
	var edit octo.ConfigEdit
	if err := decode(c.Body, &edit); err != nil {
		return err
	}
	for name := range edit.Set {
		if err := octo.CheckConfigName(name); err != nil {
			return err
		}
	}
	names := edit.Names()
	c.note("set", strings.Join(names.Set, " "))
	c.note("unset", strings.Join(names.Unset, " "))
	result, err := s.cfg.Configuration.ChangeConfig(c.Context(), c.who, c.app, edit, c.out)
	if err != nil {
		return err
	}
	if err := c.out.item(result); err != nil {
		return octo.Errorf(octo.ErrUnavailable, "client went away: %v", err)
	}
	return c.end(nil)
}

// configRefs reads the parameters of these names, and refuses others.
func configRefs(v url.Values, names ...string) ([]octo.ConfigRef, error) {
	for name := range v {
		if !slices.Contains(names, name) {
			return nil, octo.Errorf(octo.ErrInvalid, "there is no parameter %.40q here", name)
		}
	}
	refs := make([]octo.ConfigRef, len(names))
	for i, name := range names {
		var err error
		if refs[i], err = octo.ParseConfigRef(v.Get(name)); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// Config returns what a configuration of an app consists of, without values.
func (c *Client) Config(ctx context.Context, app octo.Name, at octo.ConfigRef) (octo.ConfigView, error) {
	return c.configView(ctx, app, "/config?", at)
}

// ConfigValues returns what a configuration of an app consists of, with values.
func (c *Client) ConfigValues(ctx context.Context, app octo.Name, at octo.ConfigRef) (octo.ConfigView, error) {
	return c.configView(ctx, app, "/config/values?", at)
}

func (c *Client) configView(ctx context.Context, app octo.Name, path string, at octo.ConfigRef) (octo.ConfigView, error) {
	var out octo.ConfigView
	err := c.ask(ctx, http.MethodGet, appPath(app, path+url.Values{"at": {at.String()}}.Encode()), nil, &out)
	return out, err
}

// ConfigHistory returns the versions of an app's environment, newest first.
func (c *Client) ConfigHistory(ctx context.Context, app octo.Name) ([]octo.ConfigVersion, error) {
	var out []octo.ConfigVersion
	err := c.ask(ctx, http.MethodGet, appPath(app, "/config/history"), nil, &out)
	return out, err
}

// ConfigDiff returns how a configuration of an app differs from another, without
// values.
func (c *Client) ConfigDiff(ctx context.Context, app octo.Name, from, to octo.ConfigRef) ([]octo.ConfigDiff, error) {
	var out []octo.ConfigDiff
	query := url.Values{"from": {from.String()}, "to": {to.String()}}
	err := c.ask(ctx, http.MethodGet, appPath(app, "/config/diff?"+query.Encode()), nil, &out)
	return out, err
}

// ChangeConfig changes an app's environment, and returns when the rollout ended;
// progress goes to out.
func (c *Client) ChangeConfig(ctx context.Context, app octo.Name, edit octo.ConfigEdit, out io.Writer) (octo.ConfigResult, error) {
	var result octo.ConfigResult
	resp, err := c.send(ctx, http.MethodPatch, appPath(app, "/config"), edit)
	if err != nil {
		return result, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	for f, err := range readFrames(resp.Body) {
		if err != nil {
			return result, ended(ctx, err)
		}
		if f.Item != nil {
			if err := json.Unmarshal(f.Item, &result); err != nil {
				return result, err
			}
		}
		if _, err := io.WriteString(out, f.Text); err != nil {
			return result, err
		}
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again; the answer is whole
	return result, nil
}
