package apitest

import (
	"context"
	"iter"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// Audit keeps who did what.
func (w *World) Audit(a octo.Audit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.Time, a.Took = w.Now(), 0
	w.audits = append(w.audits, a)
	w.wake()
}

// Audited implements api.Trail.
func (w *World) Audited(ctx context.Context, who octo.Identity, q octo.AuditQuery) iter.Seq2[octo.Audit, error] {
	return follow(ctx, w, q.Tail, q.Follow, func() []octo.Audit {
		return slices.DeleteFunc(slices.Clone(w.audits), func(a octo.Audit) bool {
			app := w.apps[a.App]
			theirs := a.User == who.User || app != nil && octo.Allowed(who, octo.ActionAppManage, app) == nil || who.Admin
			return !theirs || a.Time.Before(q.Since) || q.App != "" && q.App != a.App || q.User != "" && q.User != a.User
		})
	})
}
