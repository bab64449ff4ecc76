// Package control leads: while this node holds the leader lease it gathers the
// world from the store, asks the planner what follows, and writes what changed.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Config is what a Loop needs.
type Config struct {
	Node   string // this node's name, written under the leader key
	Domain string // apps answer on <app>.<Domain>
	Store  store.Store
	// Ready is closed once this node has reported what runs on it: before that a
	// plan would take away routes that are fine.
	Ready  <-chan struct{}
	Record func(octo.Event)
	Log    *slog.Logger
}

// Loop leads whenever it can.
type Loop struct{ Config }

// New returns a Loop.
func New(cfg Config) *Loop { return &Loop{cfg} }

const (
	leaseTTL = 30 * time.Second
	// retryEvery is how long a node that could not lead waits before it tries again.
	retryEvery = time.Second
)

// Run leads when nobody else does, until ctx is done. What fails is logged and
// tried again.
func (l *Loop) Run(ctx context.Context) error {
	select {
	case <-l.Ready:
	case <-ctx.Done():
		return nil
	}
	for ctx.Err() == nil {
		if err := l.lead(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, octo.ErrConflict) {
			l.Log.Error("leading ended", "node", l.Node, "err", err)
		}
		select {
		case <-time.After(retryEvery):
		case <-ctx.Done():
		}
	}
	return nil
}

// lead holds the leader key and plans until the lease or ctx ends. To lead is to be
// inside this function; leaving it in any way gives the lease back.
func (l *Loop) lead(ctx context.Context) error {
	lease, err := l.Store.Lease(ctx, leaseTTL)
	if err != nil {
		return fmt.Errorf("start leader lease: %w", err)
	}
	defer lease.Close() //nolint:errcheck // it ends by itself if this fails
	if err := lease.Hold(ctx, store.LeaderKey, []byte(l.Node)); err != nil {
		return fmt.Errorf("hold leader key: %w", err)
	}
	l.Log.Debug("leading", "node", l.Node)
	return l.plan(ctx, lease.Done())
}
