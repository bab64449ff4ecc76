package reap

import (
	"context"
	"fmt"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Space is how much room there is on the disks.
type Space int

// How much room there is.
const (
	Roomy Space = iota
	Tight       // soon there is too little
	Full        // too little to deploy
)

// tidy collects what may go, unless somebody deploys.
func (r *Reaper) tidy(ctx context.Context) error {
	_, err := r.collectNow(ctx, octo.Collection{})
	return err
}

// collectNow is Collect for the reaper itself: the next time will do as well.
func (r *Reaper) collectNow(ctx context.Context, c octo.Collection) (int, error) {
	if !r.Idle(func() {}) {
		return 0, nil
	}
	list, err := r.Collect(ctx, c)
	removed := 0
	for _, g := range list {
		if g.Error == "" {
			removed++
			continue
		}
		r.Log.Debug("garbage stays", "kind", g.Kind, "name", g.Name, "app", g.App, "err", g.Error)
	}
	return removed, err
}

// Relieve makes room where there is little: of what nothing needs at first, then of the
// build cache, and where there is still too little, of all images that do not run.
// Releases whose image is gone can be built again.
func (r *Reaper) Relieve(ctx context.Context) {
	before := r.Space(ctx)
	if before == Roomy {
		return
	}
	removed, err := r.collectNow(ctx, octo.Collection{})
	if err == nil && r.Space(ctx) != Roomy {
		var gained int64
		gained, err = r.Engine.PruneBuildCache(ctx, 0)
		removed += min(1, int(gained>>20))
	}
	if err == nil && r.Space(ctx) == Full {
		var more int
		more, err = r.collectNow(ctx, octo.Collection{All: true})
		removed += more
	}
	if err != nil && ctx.Err() == nil {
		r.Log.Warn("cannot make room on the disk", "err", err)
	}
	if removed > 0 && r.news(time.Now()) {
		r.Record(octo.Event{Kind: octo.EventDiskLow, Message: fmt.Sprintf("the disk was nearly full: %d things removed that can be made again", removed)})
	}
}

// newsEvery is how often it is told that the disk is nearly full.
const newsEvery = time.Hour

// news reports whether that has not been told for a while.
func (r *Reaper) news(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.told) < newsEvery {
		return false
	}
	r.told = now
	return true
}
