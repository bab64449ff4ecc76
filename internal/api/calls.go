package api

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/octohost/octohost/internal/octo"
)

// About returns which octo answers, and whom it takes the caller for.
func (c *Client) About(ctx context.Context) (About, error) {
	var out About
	err := c.ask(ctx, http.MethodGet, "/v1/about", nil, &out)
	return out, err
}

// Doctor returns what the machine's checks found.
func (c *Client) Doctor(ctx context.Context) ([]octo.Finding, error) {
	var out []octo.Finding
	err := c.ask(ctx, http.MethodGet, "/v1/doctor", nil, &out)
	return out, err
}

// Apps returns the apps that the caller may see, in order of name.
func (c *Client) Apps(ctx context.Context) ([]octo.AppStatus, error) {
	var out []octo.AppStatus
	err := c.ask(ctx, http.MethodGet, "/v1/apps", nil, &out)
	return out, err
}

// App returns one app.
func (c *Client) App(ctx context.Context, name octo.Name) (octo.AppStatus, error) {
	var out octo.AppStatus
	err := c.ask(ctx, http.MethodGet, appPath(name, ""), nil, &out)
	return out, err
}

// CreateApp makes an app that belongs to the caller.
func (c *Client) CreateApp(ctx context.Context, name octo.Name) (octo.AppStatus, error) {
	var out octo.AppStatus
	err := c.ask(ctx, http.MethodPost, "/v1/apps", createApp{Name: string(name)}, &out)
	return out, err
}

// SetBranch makes branch the only one that deploys; empty means main or master.
func (c *Client) SetBranch(ctx context.Context, name octo.Name, branch string) (octo.AppStatus, error) {
	var out octo.AppStatus
	err := c.ask(ctx, http.MethodPut, appPath(name, "/branch"), setBranch{Branch: branch}, &out)
	return out, err
}

// DestroyApp removes an app and returns when nothing of it is left; progress goes
// to out.
func (c *Client) DestroyApp(ctx context.Context, name octo.Name, out io.Writer) error {
	return c.follow(ctx, http.MethodDelete, appPath(name, ""), nil, out)
}

// Releases returns an app's releases, newest first.
func (c *Client) Releases(ctx context.Context, app octo.Name) ([]octo.Release, error) {
	var out []octo.Release
	err := c.ask(ctx, http.MethodGet, appPath(app, "/releases"), nil, &out)
	return out, err
}

// Release returns release n of an app.
func (c *Client) Release(ctx context.Context, app octo.Name, n int) (octo.Release, error) {
	var out octo.Release
	err := c.ask(ctx, http.MethodGet, appPath(app, "/releases/"+strconv.Itoa(n)), nil, &out)
	return out, err
}

// Rollback makes what release to had run again (0 means the previous live one),
// and returns when the rollout ended; progress goes to out.
func (c *Client) Rollback(ctx context.Context, app octo.Name, to int, out io.Writer) error {
	return c.follow(ctx, http.MethodPost, appPath(app, "/rollback"), rollback{To: to}, out)
}

// Instances returns the instances of app; with an empty app, of all that the
// caller may see.
func (c *Client) Instances(ctx context.Context, app octo.Name) ([]octo.Instance, error) {
	var out []octo.Instance
	err := c.ask(ctx, http.MethodGet, scoped(app, "/instances"), nil, &out)
	return out, err
}

// Events yields events until the query is answered, ctx ends, or the caller leaves
// the loop.
func (c *Client) Events(ctx context.Context, q octo.EventQuery) iter.Seq2[octo.Event, error] {
	sel := selection{tail: q.Tail, since: q.Since, follow: q.Follow}
	return watch[octo.Event](ctx, c, scoped(q.App, "/events?"+sel.values().Encode()))
}

// appPath returns the path of something of an app.
func appPath(app octo.Name, rest string) string {
	return "/v1/apps/" + url.PathEscape(string(app)) + rest
}

// scoped returns the path of something of one app, or of all when app is empty.
func scoped(app octo.Name, rest string) string {
	if app == "" {
		return "/v1" + rest
	}
	return appPath(app, rest)
}
