package git

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/octohost/octohost/internal/octo"
)

// Maintain packs the repository of app together, and forgets what failed pushes have
// left in it for longer than a day, if there is enough of it to be worth the time.
// Pushes of the app wait meanwhile.
func (r *Repos) Maintain(ctx context.Context, app octo.Name) error {
	if !r.Exists(app) {
		return nil
	}
	packs, err := filepath.Glob(filepath.Join(escapeGlob(r.dir(app)), "objects", "pack", "*.pack"))
	if err != nil || len(packs) < r.limits.packs {
		return err
	}
	leave, err := r.queue.wait(ctx, app, func(int) {})
	if err != nil {
		return fmt.Errorf("wait for pushes of %s: %w", app, err)
	}
	defer leave()
	if _, err := r.output(ctx, app, "gc", "--quiet", "--prune=1.day.ago"); err != nil {
		return fmt.Errorf("maintain repository of %s: %w", app, err)
	}
	return nil
}
