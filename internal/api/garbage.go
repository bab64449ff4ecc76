package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/octohost/octohost/internal/octo"
)

func (s *Server) garbage(c *call) error { return s.gc(c, true) }
func (s *Server) collect(c *call) error { return s.gc(c, false) }

func (s *Server) gc(c *call, dry bool) error {
	all := false
	for name, values := range c.URL.Query() {
		var err error
		if all, err = strconv.ParseBool(values[0]); name != "all" || err != nil {
			return octo.Errorf(octo.ErrInvalid, "there is no parameter %.40q here", name+"="+values[0])
		}
	}
	if s.cfg.Collect == nil {
		return octo.Errorf(octo.ErrUnavailable, "this octohost collects nothing")
	}
	c.note("all", strconv.FormatBool(all))
	list, err := s.cfg.Collect(c.Context(), octo.Collection{Dry: dry, All: all})
	removed := slices.DeleteFunc(slices.Clone(list), func(g octo.Garbage) bool { return g.Error != "" })
	c.note("removed", strconv.Itoa(len(removed)))
	if err != nil {
		return err
	}
	for _, g := range list {
		if err := c.out.item(g); err != nil {
			return octo.Errorf(octo.ErrUnavailable, "client went away: %v", err)
		}
	}
	return c.end(nil)
}

// Garbage returns what nothing needs any more; with all, also what can be made again.
func (c *Client) Garbage(ctx context.Context, all bool) ([]octo.Garbage, error) {
	return c.garbage(ctx, http.MethodGet, all)
}

// Collect removes what Garbage returns, and returns what it has removed, or why not.
func (c *Client) Collect(ctx context.Context, all bool) ([]octo.Garbage, error) {
	return c.garbage(ctx, http.MethodDelete, all)
}

func (c *Client) garbage(ctx context.Context, method string, all bool) ([]octo.Garbage, error) {
	resp, err := c.send(ctx, method, "/v1/garbage?"+url.Values{"all": {strconv.FormatBool(all)}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	list := []octo.Garbage{}
	for g, err := range items[octo.Garbage](resp.Body) {
		if err != nil {
			return list, ended(ctx, err)
		}
		list = append(list, g)
	}
	return list, nil
}
