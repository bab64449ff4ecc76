package proxy

import (
	"bytes"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// site is one route of the table with what the proxy adds to it. It is immutable;
// the backends it points to are not.
type site struct {
	route    octo.Route
	hosts    []string   // canonical, without repetition
	backends []*backend // as in route.Backends
	front    *front     // what answers before they do; nil: nothing
	edge     octo.Edge  // what holds for its requests
	lost     int64      // when the last backend was taken out, in Unix nanoseconds; 0 while there is one, or never was
}

// table says whose every host is. It is immutable.
type table struct {
	hosts index[[]*site] // those who claim a host; the first has it
	apps  index[*site]

	// next is closed when another table has taken this one's place.
	next chan struct{}
	// loaded is false as long as nobody has set any route: then an unknown host means
	// nothing yet.
	loaded bool
}

func newTable() *table {
	return &table{hosts: newIndex[[]*site](), apps: newIndex[*site](), next: make(chan struct{})}
}

// site returns whose the canonical host is, or nil: the site of exactly this name, else
// that of all names which differ in the first label. It does not allocate; it borrows a
// byte of host meanwhile.
func (t *table) site(host []byte) *site {
	if claims, _ := t.hosts.find(host); len(claims) > 0 {
		return claims[0]
	}
	dot := bytes.IndexByte(host, '.')
	if dot < 1 {
		return nil
	}
	last := host[dot-1]
	host[dot-1] = '*'
	claims, _ := t.hosts.find(host[dot-1:])
	host[dot-1] = last
	if len(claims) == 0 {
		return nil
	}
	return claims[0]
}

// route returns the route of an app, and whether there is one.
func (t *table) route(app octo.Name) (octo.Route, bool) {
	s, ok := t.apps.find([]byte(app))
	if !ok {
		return octo.Route{}, false
	}
	return s.route, true
}

// conflict is a host that two apps claim.
type conflict struct {
	host         string
	has, without octo.Name
}

// tableEdit builds the next table from the present one.
type tableEdit struct {
	hosts     *edit[[]*site]
	apps      *edit[*site]
	conflicts []conflict
}

func (t *table) edit() *tableEdit {
	return &tableEdit{hosts: t.hosts.edit(), apps: t.apps.edit()}
}

func (e *tableEdit) done() *table {
	return &table{hosts: e.hosts.index, apps: e.apps.index, next: make(chan struct{}), loaded: true}
}

// swap is a site that takes the place of another of the same app; either may be nil.
type swap struct{ was, is *site }

// apply carries out swaps: all that is given up first, so that it does not matter
// in which order they come who gets it.
func (e *tableEdit) apply(swaps []swap) {
	for _, s := range swaps {
		if s.was != nil {
			e.drop(s.was, s.is)
		}
	}
	for _, s := range swaps {
		if s.is == nil {
			continue
		}
		e.apps.set(string(s.is.route.App), s.is)
		for _, host := range s.is.hosts {
			e.claim(host, s.was, s.is)
		}
	}
}

// drop takes out what the next site of the app does not take over.
func (e *tableEdit) drop(was, is *site) {
	if is == nil {
		e.apps.remove(string(was.route.App))
	}
	for _, host := range was.hosts {
		if is != nil && slices.Contains(is.hosts, host) {
			continue
		}
		claims, _ := e.hosts.get(host)
		e.put(host, slices.DeleteFunc(slices.Clone(claims), func(s *site) bool { return s == was }))
	}
}

// claim gives a host to a site. The one who has a host keeps it for as long as it
// claims it; the others wait behind it in the order of their names.
func (e *tableEdit) claim(host string, was, is *site) {
	claims, _ := e.hosts.get(host)
	claims = slices.Clone(claims)
	if i := slices.Index(claims, was); was != nil && i >= 0 {
		claims[i] = is
		e.put(host, claims)
		return
	}
	at := 0
	if len(claims) > 0 {
		e.conflicts = append(e.conflicts, conflict{host, claims[0].route.App, is.route.App})
		at, _ = slices.BinarySearchFunc(claims[1:], is, bySiteName)
		at++
	}
	e.put(host, slices.Insert(claims, at, is))
}

func (e *tableEdit) put(host string, claims []*site) {
	if len(claims) == 0 {
		e.hosts.remove(host)
		return
	}
	e.hosts.set(host, claims)
}

func bySiteName(a, b *site) int { return strings.Compare(string(a.route.App), string(b.route.App)) }

// sameRoute reports whether two routes say the same.
func sameRoute(a, b octo.Route) bool {
	return a.App == b.App && a.Release == b.Release && a.Crashed == b.Crashed && a.Stopped == b.Stopped && sameFront(a, b) &&
		slices.Equal(a.Hosts, b.Hosts) && slices.Equal(a.Backends, b.Backends)
}
