package control

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
	"github.com/octohost/octohost/internal/store"
)

// fronts returns the apps whose names, maintenance or limits are others than before,
// and whether nothing else is: then what runs does not change, and neither do the routes
// of other apps, so that it does not matter how many there are.
func (l *Loop) fronts(before, now sight) (apps map[octo.Name]bool, only bool) {
	if before.apps == nil || !same(before.nodes, now.nodes) || !same(before.have, now.have) {
		return nil, false
	}
	apps, only = map[octo.Name]bool{}, true
	differences(before.apps, now.apps, func(was, is *store.Doc[octo.App]) {
		if was == nil || is == nil || !sameBehind(was.Value, is.Value) {
			only = false
			return
		}
		apps[is.Value.Name] = true
	})
	differences(before.names, now.names, func(was, is *store.Doc[octo.Domain]) {
		for _, d := range []*store.Doc[octo.Domain]{was, is} {
			if d == nil {
				continue
			}
			apps[d.Value.App] = true
			label, _, _ := strings.Cut(d.Name, ".")
			apps[octo.Name(label)] = true // it may have lost or regained its default host
		}
	})
	return apps, only
}

// same reports whether two lists of one watch are the same list.
func same[T any](a, b []store.Doc[T]) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// differences calls f for every document that was added (was is nil), removed (is is
// nil) or changed. Both lists are sorted by name.
func differences[T any](before, now []store.Doc[T], f func(was, is *store.Doc[T])) {
	for len(before) > 0 || len(now) > 0 {
		order := 0
		switch {
		case len(before) == 0:
			order = 1
		case len(now) == 0:
			order = -1
		case before[0].Name != now[0].Name: // texts that are the same are rarely compared byte by byte
			order = cmp.Compare(before[0].Name, now[0].Name)
		}
		switch {
		case order < 0:
			f(&before[0], nil)
			before = before[1:]
		case order > 0:
			f(nil, &now[0])
			now = now[1:]
		default:
			if before[0].Version != now[0].Version {
				f(&before[0], &now[0])
			}
			before, now = before[1:], now[1:]
		}
	}
}

// sameBehind reports whether two versions of an app differ at most in their front, and
// in what the planner has no interest in.
func sameBehind(a, b octo.App) bool {
	a.Edge, a.Maintenance = b.Edge, b.Maintenance
	a.Owner, a.Access, a.Branch, a.NamesOf = b.Owner, b.Access, b.Branch, b.NamesOf
	return reflect.DeepEqual(a, b)
}

// dress gives the routes of some apps their fronts anew, and writes their shards.
func (l *Loop) dress(ctx context.Context, k *known, s sight, apps map[octo.Name]bool) error {
	own := map[octo.Name][]octo.Domain{}
	for i := range s.names {
		if d := &s.names[i].Value; apps[d.App] {
			own[d.App] = append(own[d.App], *d)
		}
	}
	dressed := map[string][]octo.Route{}
	for name := range apps {
		shard := store.RouteShard(name)
		routes := dressed[shard]
		if routes == nil {
			routes = slices.Clone(k.shards[shard].routes)
		}
		app, known := slices.BinarySearchFunc(s.apps, string(name), byName[octo.App])
		i, routed := slices.BinarySearchFunc(routes, name, func(r octo.Route, n octo.Name) int { return cmp.Compare(r.App, n) })
		if !known || !routed {
			continue // it is on its way in or out: the planner is asked about that
		}
		host := octo.DefaultHost(name, l.Domain)
		if _, said := slices.BinarySearchFunc(s.names, host, byName[octo.Domain]); said {
			host = ""
		}
		plan.Front(&routes[i], &s.apps[app].Value, own[name], host)
		dressed[shard] = routes
	}
	for name, routes := range dressed {
		if err := l.writeShard(ctx, k, name, routes); err != nil {
			return err
		}
	}
	return nil
}

func byName[T any](d store.Doc[T], name string) int { return strings.Compare(d.Name, name) }
