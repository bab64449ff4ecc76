package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/octohost/octohost/internal/octo"
)

// Keys admits people, and machines that deploy.
type Keys interface {
	// Keys returns those that who may see.
	Keys(ctx context.Context, who octo.Identity) ([]octo.Key, error)
	// DeployKeys returns those of an app.
	DeployKeys(ctx context.Context, app octo.Name) ([]octo.Key, error)
	// AddKey admits a key; ErrInvalid when it is none, or the wish cannot be granted,
	// ErrConflict when it is admitted already.
	AddKey(ctx context.Context, who octo.Identity, wish octo.Admission) (octo.Key, error)
	// RemoveKey takes a key away; with an app, only one of its deploy keys; ErrNotFound.
	RemoveKey(ctx context.Context, who octo.Identity, app octo.Name, fingerprint string) error
}

func (s *Server) keys(c *call) error {
	keys, err := s.cfg.Keys.Keys(c.Context(), c.who)
	return s.answer(c, orEmpty(keys), err)
}

func (s *Server) deployKeys(c *call) error {
	keys, err := s.cfg.Keys.DeployKeys(c.Context(), c.app)
	return s.answer(c, orEmpty(keys), err)
}

// addKey admits a key. The path says which app it opens, since permission was asked
// for that.
func (s *Server) addKey(c *call) error {
	var wish octo.Admission
	if err := decode(c.Body, &wish); err != nil {
		return err
	}
	if wish.App != c.app {
		return octo.Errorf(octo.ErrInvalid, "the request is not for the app of its path").WithHint("is the octo on the other side of another version?")
	}
	key, err := s.cfg.Keys.AddKey(c.Context(), c.who, wish)
	if err == nil {
		c.note("key", key.Fingerprint)
		c.note("user", key.User)
		c.note("admin", strconv.FormatBool(key.Admin))
	}
	return s.answer(c, key, err)
}

func (s *Server) removeKey(c *call) error {
	err := s.cfg.Keys.RemoveKey(c.Context(), c.who, c.app, c.PathValue("fingerprint"))
	return s.answer(c, struct{}{}, err)
}

// Keys returns the keys that the caller may see.
func (c *Client) Keys(ctx context.Context) ([]octo.Key, error) {
	var out []octo.Key
	err := c.ask(ctx, http.MethodGet, "/v1/keys", nil, &out)
	return out, err
}

// DeployKeys returns the deploy keys of an app.
func (c *Client) DeployKeys(ctx context.Context, app octo.Name) ([]octo.Key, error) {
	var out []octo.Key
	err := c.ask(ctx, http.MethodGet, appPath(app, "/keys"), nil, &out)
	return out, err
}

// AddKey admits somebody, or a machine that deploys.
func (c *Client) AddKey(ctx context.Context, wish octo.Admission) (octo.Key, error) {
	var out octo.Key
	err := c.ask(ctx, http.MethodPost, scoped(wish.App, "/keys"), wish, &out)
	return out, err
}

// RemoveKey takes a key away; with an app, only one of its deploy keys.
func (c *Client) RemoveKey(ctx context.Context, app octo.Name, fingerprint string) error {
	var out struct{}
	return c.ask(ctx, http.MethodDelete, scoped(app, "/keys/"+url.PathEscape(fingerprint)), nil, &out)
}
