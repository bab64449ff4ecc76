package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// front is what answers the visitors of a site before they reach an instance.
type front struct {
	maintenance *octo.Maintenance        // nil: the site is open
	redirects   map[string]octo.Redirect // by canonical host
}

// newFront returns the front of a route, or nil where there is none: most have none.
func newFront(route *octo.Route) *front {
	if route.Maintenance == nil && len(route.Redirects) == 0 {
		return nil
	}
	f := &front{maintenance: route.Maintenance, redirects: make(map[string]octo.Redirect, len(route.Redirects))}
	for _, r := range route.Redirects {
		if host, ok := routeHost(r.Host); ok {
			f.redirects[host] = r
		}
	}
	return f
}

// redirect returns where visitors of a canonical host are sent, if they are.
func (f *front) redirect(host string) (octo.Redirect, bool) {
	r, ok := f.redirects[host]
	if _, parent, below := strings.Cut(host, "."); !ok && below {
		r, ok = f.redirects["*."+parent]
	}
	return r, ok
}

// meet answers x where the front of its site does, or reports false. A redirect that
// leads to where the visitor is already leads nowhere.
func (p *Proxy) meet(x *exchange) bool {
	f := x.site.front
	if f == nil {
		return false
	}
	r, sent := f.redirect(x.host)
	switch {
	case sent && targetHost(r.Target) == x.host:
		p.answer(x, unknownHost)
	case sent:
		p.send(x, r)
	case f.maintenance != nil:
		p.answer(x, maintenance)
	default:
		return false
	}
	return true
}

// forgetful is for how long browsers remember a permanent redirect, in seconds. Without
// a word about it they never ask again.
const forgetful = 3600

// send tells the visitor to go where r leads.
func (p *Proxy) send(x *exchange, r octo.Redirect) {
	location := x.location(r.Target)
	body := fmt.Sprintf("%d %s\n%s\nrequest id: %s\n", r.Code, http.StatusText(r.Code), location, x.id)
	h := x.Header()
	clear(h)
	h.Set("Location", location)
	h.Set("Content-Type", kindText+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(headerID, x.id)
	if r.Code == http.StatusMovedPermanently || r.Code == http.StatusPermanentRedirect {
		h.Set("Cache-Control", "max-age="+strconv.Itoa(forgetful))
	} else {
		h.Set("Cache-Control", "no-store")
	}
	x.WriteHeader(r.Code)
	if x.in.Method != http.MethodHead {
		_, _ = x.Write([]byte(body)) // x has taken note of the error
	}
}

// location returns the URL of the request at another host. Scheme and port stay where
// the target does not name them: the visitor came in by them.
func (x *exchange) location(target string) string {
	scheme, host, ok := strings.Cut(target, "://")
	if !ok {
		scheme, host = x.scheme(), target
		if _, port, _ := cutPort(x.in.Host); port != "" && !strings.Contains(host, ":") {
			host += ":" + port
		}
	}
	path := rawPath(x.in)
	if path == "" {
		path = x.in.URL.EscapedPath()
	}
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	if x.in.URL.RawQuery != "" || x.in.URL.ForceQuery {
		path += "?" + x.in.URL.RawQuery
	}
	return scheme + "://" + host + path
}

// targetHost returns the host in the target of a redirect.
func targetHost(target string) string {
	if _, rest, ok := strings.Cut(target, "://"); ok {
		target = rest
	}
	host, _, _ := strings.Cut(target, ":")
	return host
}

// openAfter is when visitors are asked to come back who met a closed site.
const openAfter = time.Minute

// notice fills in what the owner of a closed site says to visitors.
func (f *front) notice(pg *page) {
	pg.Message = cmp.Or(f.maintenance.Message, pg.Message)
	pg.retry = cmp.Or(f.maintenance.Retry.Std(), openAfter)
}

// ownPage returns the page of the app's own that suits an answer, if it has one: browsers
// get it while the app is closed. It is the app's word on its own site, as any other
// page of it.
func (p *Proxy) ownPage(x *exchange, why reason, kind string) ([]byte, bool) {
	if why != maintenance || kind != kindHTML || p.own == nil || x.site.front.maintenance.Page == "" {
		return nil, false
	}
	html, ok := p.own(x.ctx, x.site.route.App, x.site.front.maintenance.Page)
	return []byte(strings.ReplaceAll(html, idMark, x.id)), ok
}

// idMark stands for the id of the request in a page of an app's own.
const idMark = "{{request_id}}"

// edge returns what holds for a site of which so much was set.
func (l *Limits) edge(set octo.Edge) octo.Edge {
	return set.Within(octo.Edge{Timeout: octo.Duration(l.AnswerTimeout), Body: octo.Size(l.BodyBytes)}, l.Most)
}

// sameFront reports whether two routes have the same front.
func sameFront(a, b octo.Route) bool {
	closed := a.Maintenance != nil
	return a.Edge == b.Edge && slices.Equal(a.Redirects, b.Redirects) &&
		closed == (b.Maintenance != nil) && (!closed || *a.Maintenance == *b.Maintenance)
}
