package main

import (
	"context"
	"fmt"
	"time"

	"github.com/octohost/octohost/bench/stage"
)

// rollback measures octo rollback of an app, from the command to the first answer of
// what it goes back to.
func (b *bench) rollback(ctx context.Context, h *stage.Host, name string) (time.Duration, error) {
	began := time.Now()
	if out, err := h.Command("rollback", "-a", name).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	b.versions[0], b.versions[1] = b.versions[1], b.versions[0]
	err := h.Answers(ctx, name, b.versions[1])
	return time.Since(began), err
}

// deployMany deploys n further apps.
func deployMany(ctx context.Context, h *stage.Host, app *stage.Source, n int) error {
	for i := range n {
		version, err := app.Change()
		if err != nil {
			return err
		}
		if _, err := h.Push(ctx, app, fmt.Sprintf("many-%d", i), version); err != nil {
			return err
		}
	}
	return nil
}
