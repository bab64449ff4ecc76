package platform

import (
	"context"
	"fmt"
	"iter"

	"github.com/octohost/octohost/internal/octo"
)

// Trail keeps who did what.
type Trail interface {
	// Read yields the records that a query asks for and sees allows, oldest first.
	Read(ctx context.Context, q octo.AuditQuery, sees func(octo.Audit) bool) iter.Seq2[octo.Audit, error]
}

// Audited yields the records that who may see: admins all; others what concerns apps
// that are theirs, since those are there, and what they did themselves.
func (p *Platform) Audited(ctx context.Context, who octo.Identity, q octo.AuditQuery) iter.Seq2[octo.Audit, error] {
	if octo.Allowed(who, octo.ActionAdmin, nil) == nil && q.App == "" {
		return p.Trail.Read(ctx, q, func(octo.Audit) bool { return true })
	}
	apps := map[octo.Name]octo.App{}
	docs, err := p.apps().All(ctx)
	if err != nil {
		return func(yield func(octo.Audit, error) bool) { yield(octo.Audit{}, fmt.Errorf("list apps: %w", err)) }
	}
	for _, d := range docs {
		apps[d.Value.Name] = d.Value
	}
	return p.Trail.Read(ctx, q, func(a octo.Audit) bool {
		app, there := apps[a.App]
		if q.Follow { // for long: it may have changed hands meanwhile
			now, err := p.app(ctx, a.App)
			app, there = now, err == nil
		}
		theirs := there && octo.Allowed(who, octo.ActionAppManage, &app) == nil && !a.Time.Before(app.Created)
		return theirs || a.User == who.User
	})
}
