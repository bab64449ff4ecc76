package api

import (
	"context"
	"iter"

	"github.com/octohost/octohost/internal/octo"
)

// Trail shows who did what.
type Trail interface {
	// Audited yields the records that who may see, oldest first: admins all, others of
	// apps that are theirs, and their own.
	Audited(ctx context.Context, who octo.Identity, q octo.AuditQuery) iter.Seq2[octo.Audit, error]
}

func (s *Server) audit(c *call) error {
	values := c.URL.Query()
	user := values.Get("user")
	values.Del("user")
	sel, err := parseSelection(values)
	if err != nil {
		return err
	}
	q := octo.AuditQuery{App: c.app, User: user, Tail: sel.tail, Since: sel.since, Follow: sel.follow}
	return stream(c, s.cfg.Trail.Audited(c.Context(), c.who, q))
}

// Audit yields who did what, until the query is answered, ctx ends, or the caller
// leaves the loop.
func (c *Client) Audit(ctx context.Context, q octo.AuditQuery) iter.Seq2[octo.Audit, error] {
	sel := selection{tail: q.Tail, since: q.Since, follow: q.Follow}
	values := sel.values()
	if q.User != "" {
		values.Set("user", q.User)
	}
	return watch[octo.Audit](ctx, c, scoped(q.App, "/audit?"+values.Encode()))
}
