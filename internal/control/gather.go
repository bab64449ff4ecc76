package control

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
	"github.com/octohost/octohost/internal/store"
)

// view is the latest of what other rooms write, kept current by watches.
type view struct {
	mu    sync.Mutex
	sight sight
	seen  int           // how many of its four lists have been seen at all
	woken chan struct{} // holds one token when something changed
}

// sight is a view at one moment. Its lists are replaced, never changed.
type sight struct {
	apps  []store.Doc[octo.App]
	nodes []store.Doc[octo.Node]
	have  []store.Doc[[]octo.Instance]
	names []store.Doc[octo.Domain] // sorted by host, as they are stored
}

// look returns what is seen now, or false before all of it has been.
func (v *view) look() (sight, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sight, v.seen == 4
}

func newView() *view { return &view{woken: make(chan struct{}, 1)} }

// follow keeps v current until ctx is done.
func (v *view) follow(ctx context.Context, s store.Store, log *slog.Logger) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return watch(ctx, v, store.Docs[octo.App]{Store: s, Prefix: store.AppsPrefix}.Watch(ctx), &v.sight.apps, log)
	})
	g.Go(func() error {
		return watch(ctx, v, store.Docs[octo.Node]{Store: s, Prefix: store.NodesPrefix}.Watch(ctx), &v.sight.nodes, log)
	})
	g.Go(func() error {
		return watch(ctx, v, store.Docs[[]octo.Instance]{Store: s, Prefix: store.HavePrefix}.Watch(ctx), &v.sight.have, log)
	})
	g.Go(func() error {
		return watch(ctx, v, store.Docs[octo.Domain]{Store: s, Prefix: store.DomainsPrefix}.Watch(ctx), &v.sight.names, log)
	})
	return g.Wait()
}

// watch copies what a watch yields into its place in the view.
func watch[T any](ctx context.Context, v *view, docs iter.Seq2[[]store.Doc[T], error], into *[]store.Doc[T], log *slog.Logger) error {
	for ds, err := range docs {
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("watch interrupted", "err", err)
			}
			continue
		}
		v.mu.Lock()
		if *into == nil {
			v.seen++
		}
		*into = ds
		if ds == nil {
			*into = []store.Doc[T]{}
		}
		v.mu.Unlock()
		select {
		case v.woken <- struct{}{}:
		default: // a token is waiting already
		}
	}
	return ctx.Err()
}

// world returns what the planner needs.
func (l *Loop) world(ctx context.Context, s sight, k *known) (plan.World, error) {
	w := plan.World{Domain: l.Domain, Have: map[string][]octo.Instance{}, Want: map[string][]octo.Assignment{}}
	w.Apps, w.Nodes, w.Domains = values(s.apps), values(s.nodes), values(s.names)
	for _, h := range s.have {
		w.Have[h.Name] = h.Value
	}
	for node, d := range k.want {
		w.Want[node] = append([]octo.Assignment(nil), d.Value...)
	}
	var err error
	w.Releases, err = k.releases.load(ctx, w)
	return w, err
}

func values[T any](docs []store.Doc[T]) []T {
	vs := make([]T, len(docs))
	for i := range docs {
		vs[i] = docs[i].Value
	}
	return vs
}

// releaseCache holds the releases that the planner asks for. A settled release is
// immutable and is read once; an unsettled one is written only by this loop.
type releaseCache struct {
	docs   store.Docs[octo.Release]
	cached map[plan.Ref]octo.Release
}

// load returns the releases that matter in w, and forgets the others.
func (c *releaseCache) load(ctx context.Context, w plan.World) (map[plan.Ref]octo.Release, error) {
	wanted := map[plan.Ref]octo.Release{}
	for _, a := range w.Apps {
		for n := max(1, a.Live); n <= a.Release; n++ {
			wanted[plan.Ref{App: a.Name, Number: n}] = octo.Release{}
		}
	}
	for _, as := range w.Want {
		for _, a := range as {
			wanted[plan.Ref{App: a.App, Number: a.Release}] = octo.Release{}
		}
	}
	for ref := range wanted {
		if r, ok := c.cached[ref]; ok {
			wanted[ref] = r
			continue
		}
		doc, err := c.docs.Get(ctx, store.ReleaseName(ref.App, ref.Number))
		switch octo.Kind(err) {
		case octo.ErrNotFound:
			delete(wanted, ref)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read release %s %s: %w", ref.App, octo.Version(ref.Number), err)
		}
		wanted[ref] = doc.Value
	}
	c.cached = wanted
	return wanted, nil
}
