package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// shard is the part of the table that comes in one document.
type shard map[octo.Name]*site

// routes keeps the table: many read it without a lock, one writer at a time makes
// the next.
type routes struct {
	fleet  *fleet
	limits *Limits
	log    *slog.Logger

	table atomic.Pointer[table]

	mu     sync.Mutex // held by the writer
	shards map[string]shard
}

func newRoutes(f *fleet, limits *Limits, log *slog.Logger) *routes {
	r := &routes{fleet: f, limits: limits, log: log, shards: make(map[string]shard)}
	r.table.Store(newTable())
	return r
}

// set replaces shards by the given ones; only, if only they are to exist. What did
// not change is not touched, and when nothing did the table stays.
func (r *routes) set(changes map[string][]octo.Route, only bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, now := r.table.Load(), time.Now().UnixNano()
	var swaps []swap
	if only {
		for _, name := range slices.Sorted(maps.Keys(r.shards)) {
			if _, ok := changes[name]; !ok {
				swaps = append(swaps, r.setShard(name, nil, now)...)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		swaps = append(swaps, r.setShard(name, changes[name], now)...)
	}
	if len(swaps) == 0 && old.loaded {
		return
	}
	e := old.edit()
	e.apply(swaps)
	r.table.Store(e.done())
	close(old.next)
	for _, c := range e.conflicts {
		r.log.Warn("host claimed by two apps", "host", c.host, "app", c.has, "without", c.without)
	}
}

// setShard takes the routes of one shard and returns what they change.
func (r *routes) setShard(name string, list []octo.Route, now int64) (swaps []swap) {
	was, is := r.shards[name], make(shard, len(list))
	for i := range list {
		app := list[i].App
		before := was[app]
		switch {
		case is[app] != nil:
			r.log.Warn("app routed twice", "app", app, "shard", name)
		case before != nil && sameRoute(before.route, list[i]):
			is[app] = before
		default:
			is[app] = r.newSite(list[i], before, now)
			swaps = append(swaps, swap{before, is[app]})
			r.release(before)
		}
	}
	for app, before := range was {
		if is[app] == nil {
			swaps = append(swaps, swap{before, nil})
			r.release(before)
		}
	}
	r.shards[name] = is
	if len(is) == 0 {
		delete(r.shards, name)
	}
	return swaps
}

// newSite makes a site of a route, of which it keeps nothing that its giver could
// still change.
func (r *routes) newSite(route octo.Route, before *site, now int64) *site {
	route.Hosts, route.Backends, route.Redirects = slices.Clone(route.Hosts), slices.Clone(route.Backends), slices.Clone(route.Redirects)
	if route.Maintenance != nil {
		route.Maintenance = new(*route.Maintenance)
	}
	s := &site{route: route, front: newFront(&route), edge: r.limits.edge(route.Edge)}
	for _, given := range route.Hosts {
		host, ok := routeHost(given)
		switch {
		case !ok:
			r.log.Warn("bad host in a route", "app", route.App, "host", given)
		case !slices.Contains(s.hosts, host):
			s.hosts = append(s.hosts, host)
		}
	}
	for _, b := range route.Backends {
		s.backends = append(s.backends, r.fleet.route(b.Instance, s.edge.Timeout.Std()))
	}
	switch {
	case len(s.backends) > 0 || before == nil:
	case len(before.backends) > 0:
		s.lost = now
	default:
		s.lost = before.lost
	}
	return s
}

// release tells the fleet that a site no longer points to its backends.
func (r *routes) release(s *site) {
	if s == nil {
		return
	}
	for _, b := range s.backends {
		r.fleet.unroute(b)
	}
}

// wait blocks until ok says yes to the route of app.
func (r *routes) wait(ctx context.Context, app octo.Name, ok func(octo.Route, bool) bool) error {
	for {
		t := r.table.Load()
		if ok(t.route(app)) {
			return nil
		}
		select {
		case <-t.next:
		case <-ctx.Done():
			return fmt.Errorf("wait for the route of %s: %w", app, context.Cause(ctx))
		}
	}
}
