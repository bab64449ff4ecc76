package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
	"github.com/octohost/octohost/internal/store"
)

// known is what this leader has read or written of its own documents, with their
// versions: nobody else writes them, so a conflict means that somebody else leads.
type known struct {
	want     map[string]store.Doc[[]octo.Assignment]
	shards   map[string]shard
	releases releaseCache
	planned  sight // what was seen when the planner was asked last; nil lists before
}

// shard is one document of the routing table as it was last written.
type shard struct {
	routes  []octo.Route // nil before this leader has planned
	value   string
	version store.Version
}

// plan runs the planner whenever something changed, and applies its answer, until
// the lease is lost or ctx is done.
func (l *Loop) plan(ctx context.Context, lost <-chan struct{}) error {
	k, err := l.read(ctx)
	if err != nil {
		return err
	}
	v := newView()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return v.follow(ctx, l.Store, l.Log) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-lost:
				return fmt.Errorf("leader lease was lost: %w", octo.ErrUnavailable)
			case <-v.woken:
			}
			if err := l.step(ctx, v, k); err != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// step asks the planner once, or only for the fronts of some apps where nothing else
// has changed.
func (l *Loop) step(ctx context.Context, v *view, k *known) error {
	s, ok := v.look()
	if !ok {
		return nil
	}
	if apps, only := l.fronts(k.planned, s); only {
		k.planned = s
		return l.dress(ctx, k, s, apps)
	}
	w, err := l.world(ctx, s, k)
	if err != nil {
		return err
	}
	k.planned = s
	return l.apply(ctx, k, plan.Next(w))
}

// read loads the leader's own documents.
func (l *Loop) read(ctx context.Context) (*known, error) {
	k := &known{want: map[string]store.Doc[[]octo.Assignment]{}, shards: map[string]shard{}}
	k.releases.docs = l.releases()
	wants, err := l.wants().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read assignments: %w", err)
	}
	for _, d := range wants {
		k.want[d.Name] = d
	}
	entries, err := l.Store.List(ctx, store.RoutesPrefix)
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	for _, e := range entries {
		k.shards[e.Key[len(store.RoutesPrefix):]] = shard{value: string(e.Value), version: e.Version}
	}
	return k, nil
}

func (l *Loop) wants() store.Docs[[]octo.Assignment] {
	return store.Docs[[]octo.Assignment]{Store: l.Store, Prefix: store.WantPrefix}
}

func (l *Loop) releases() store.Docs[octo.Release] {
	return store.Docs[octo.Release]{Store: l.Store, Prefix: store.ReleasesPrefix}
}

func (l *Loop) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: l.Store, Prefix: store.AppsPrefix}
}

// apply writes what changed: routes first, so that no instance is told to go while
// it is still routed.
func (l *Loop) apply(ctx context.Context, k *known, d plan.Documents) error {
	if err := l.applyRoutes(ctx, k, d.Routes); err != nil {
		return err
	}
	for _, v := range d.Verdicts {
		if err := l.settle(ctx, k, v); err != nil {
			return err
		}
	}
	for node, as := range d.Want {
		old := k.want[node]
		if slices.Equal(old.Value, as) {
			continue
		}
		failpoint.Hit("control-before-want")
		version, err := l.wants().Replace(ctx, node, as, old.Version)
		if err != nil {
			return fmt.Errorf("write assignments of node %s: %w", node, err)
		}
		k.want[node] = store.Doc[[]octo.Assignment]{Name: node, Value: as, Version: version}
	}
	return nil
}

// applyRoutes writes the shards of the routing table that changed.
func (l *Loop) applyRoutes(ctx context.Context, k *known, routes []octo.Route) error {
	shards := map[string][]octo.Route{}
	for name := range k.shards {
		shards[name] = nil
	}
	for _, r := range routes {
		name := store.RouteShard(r.App)
		shards[name] = append(shards[name], r)
	}
	for name, rs := range shards {
		if err := l.writeShard(ctx, k, name, rs); err != nil {
			return err
		}
	}
	return nil
}

// writeShard writes one shard of the routing table, if it changed. One that is too
// large to be written stays as it was, and does not keep the others from being written.
func (l *Loop) writeShard(ctx context.Context, k *known, name string, routes []octo.Route) error {
	value, err := json.Marshal(routes)
	if err != nil {
		return fmt.Errorf("encode routes: %w", err)
	}
	old := k.shards[name]
	if string(value) == old.value || len(value) > store.MaxValue {
		if len(value) > store.MaxValue {
			l.Log.Error("routes are too many for their document, and stay as they were", "shard", name, "routes", len(routes), "bytes", len(value))
		}
		old.routes = routes
		k.shards[name] = old
		return nil
	}
	failpoint.Hit("control-before-routes")
	version, err := l.Store.Put(ctx, store.RoutesPrefix+name, value, old.version)
	if err != nil {
		return fmt.Errorf("write routes %s: %w", name, err)
	}
	failpoint.Hit("control-after-routes")
	k.shards[name] = shard{routes, string(value), version}
	return nil
}

// settle writes how a rollout ended: first on the release, once, then on the app.
// Both writes may be repeated after a crash.
func (l *Loop) settle(ctx context.Context, k *known, v plan.Verdict) error {
	failpoint.Hit("control-before-verdict")
	fresh := false
	r, err := l.releases().Update(ctx, store.ReleaseName(v.App, v.Number), func(r *octo.Release) error {
		if fresh = r.Outcome == octo.Pending; !fresh {
			return store.ErrUnchanged
		}
		r.Outcome, r.Failure, r.Settled = v.Outcome, v.Failure, time.Now().UTC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle release %s %s: %w", v.App, octo.Version(v.Number), err)
	}
	k.releases.cached[v.Ref] = r
	failpoint.Hit("control-between-verdicts")
	_, err = l.apps().Update(ctx, string(v.App), func(a *octo.App) error { return follow(a, r, v) })
	if err != nil && !errors.Is(err, octo.ErrNotFound) {
		return fmt.Errorf("settle app %s: %w", v.App, err)
	}
	if fresh {
		l.announce(r)
	}
	return nil
}

// follow makes an app's document show a verdict: a live release is what it goes
// back to, a failed one is left for the last live one, and what was set with it for
// what was set before, unless somebody has set something since.
func follow(a *octo.App, r octo.Release, v plan.Verdict) error {
	if a.Release != v.Number {
		return store.ErrUnchanged
	}
	switch v.Outcome {
	case octo.Live:
		a.Live = v.Number
	case octo.Failed:
		a.Release = a.Live
		if r.Before != nil && a.Settings.Equal(r.Settings) {
			a.Settings = *r.Before
		}
	default:
		return store.ErrUnchanged
	}
	return nil
}

func (l *Loop) announce(r octo.Release) {
	e := octo.Event{App: r.App, Release: r.Number, User: r.Author}
	switch r.Outcome {
	case octo.Live:
		e.Kind, e.Message = octo.EventReleaseLive, r.Version()+" is live"
	case octo.Failed:
		e.Kind, e.Message = octo.EventReleaseFailed, r.Version()+" failed"
		if r.Failure != nil {
			e.Message += ": " + r.Failure.Message
		}
	default:
		return
	}
	l.Record(e)
}
