package edge_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func TestRedirects(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(ann, "hello", "example.com"))
	for _, c := range []struct {
		host, target string
		code, status int
		location     string
	}{
		{"www.example.com", "example.com", 0, 308, "http://example.com/path?q=1"},
		{"www.example.com", "https://Example.com/", 301, 301, "https://example.com/path?q=1"},
		{"*.old.example", "bücher.example:8443", 302, 302, "http://xn--bcher-kva.example:8443/path?q=1"},
		{"hello.apps.example.net", "example.com", 307, 307, "http://example.com/path?q=1"},
	} {
		d, err := w.Redirect(t.Context(), ann, "hello", c.host, c.target, c.code)
		require.NoError(t, err)
		require.Equal(t, c.status, d.Code)
		res, _ := w.get(strings.Replace(c.host, "*", "any", 1))
		require.Equal(t, c.status, res.StatusCode)
		require.Equal(t, c.location, res.Header.Get("Location"))
	}
	_, err := w.RemoveDomains(t.Context(), ann, "hello", octo.DomainServe, []string{"www.example.com"})
	require.ErrorContains(t, err, "octo redirects:remove www.example.com -a hello")
	_, err = w.RemoveDomains(t.Context(), ann, "hello", octo.DomainRedirect, []string{"example.com"})
	require.ErrorContains(t, err, "octo domains:remove example.com -a hello")
	_, err = w.RemoveDomains(t.Context(), ann, "hello", octo.DomainRedirect, []string{"hello.apps.example.net"})
	require.NoError(t, err)
	_, p := w.get("hello.apps.example.net")
	require.Equal(t, octo.Name("hello"), p.App, "it has its own name back")
	require.NoError(t, w.add(ann, "hello", "www.example.com"), "the last word counts")
	_, p = w.get("www.example.com")
	require.Equal(t, octo.Name("hello"), p.App)
}

func TestRedirects_NeverInACircle(t *testing.T) {
	w := newWorld(t, people()...)
	redirect := func(host, target string) error {
		_, err := w.Redirect(context.Background(), ann, "hello", host, target, 0)
		return err
	}
	require.NoError(t, redirect("a.example.com", "b.example.com"))
	require.NoError(t, redirect("b.example.com", "https://c.example.com"))
	require.NoError(t, w.add(ann, "hello", "www.example.org"))
	require.NoError(t, redirect("*.example.org", "www.example.org"), "this one is served")
	for host, target := range map[string]string{
		"x.example.com": "x.example.com", "c.example.com": "a.example.com:8080", "b.example.com": "http://a.example.com", "*.example.com": "c.example.com",
		"www.example.org": "any.example.org", "*.example.edu": "x.example.edu",
	} {
		require.ErrorContains(t, redirect(host, target), "would be sent in a circle", host)
	}
	_, err := w.Redirect(t.Context(), ann, "hello", "x.example.com", "y.example.com", 200)
	require.ErrorContains(t, err, "200 is no code of a redirect")
}

func TestMaintenance(t *testing.T) {
	w := newWorld(t, people()...)
	m := octo.Maintenance{Message: "Back at noon.", Retry: octo.Duration(time.Hour)}
	s, err := w.SetMaintenance(t.Context(), ann, "hello", &m, "")
	require.NoError(t, err)
	require.Equal(t, octo.MaintenanceStatus{App: "hello", On: true, Maintenance: m}, s)
	res, p := w.get("hello.apps.example.net")
	require.Equal(t, 503, res.StatusCode)
	require.Equal(t, "3600", res.Header.Get("Retry-After"))
	require.Equal(t, "maintenance", p.Error)
	require.Equal(t, "Back at noon.", p.Message)
	_, p = w.get("shop.apps.example.net")
	require.Equal(t, "no-instance", p.Error, "others go on")
	_, err = w.SetMaintenance(t.Context(), ann, "hello", nil, "")
	require.NoError(t, err)
	_, p = w.get("hello.apps.example.net")
	require.Equal(t, "no-instance", p.Error)
	s, err = w.Maintenance(t.Context(), "hello")
	require.NoError(t, err)
	require.False(t, s.On)
	for _, bad := range []octo.Maintenance{
		{Message: "\x1b[31mred"}, {Message: "a\xff"}, {Message: strings.Repeat("ü", 501)}, {Retry: octo.Duration(8 * 24 * time.Hour)},
	} {
		_, err := w.SetMaintenance(t.Context(), ann, "hello", &bad, "")
		require.ErrorIs(t, err, octo.ErrInvalid)
	}
	_, err = w.SetMaintenance(t.Context(), ann, "nope", nil, "")
	require.ErrorIs(t, err, octo.ErrNotFound)
}

// Browsers get a page of the app's own, which is gone with the maintenance.
func TestMaintenance_APageOfItsOwn(t *testing.T) {
	w := newWorld(t, people()...)
	html := "<h1>Umbau</h1><p>{{request_id}}</p>" + strings.Repeat(" ", 60<<10)
	s, err := w.SetMaintenance(t.Context(), ann, "hello", new(octo.Maintenance), html)
	require.NoError(t, err)
	require.NotEmpty(t, s.Page)
	got, ok := w.Page(t.Context(), "hello", s.Page)
	require.True(t, ok)
	require.Equal(t, html, got)
	_, ok = w.Page(t.Context(), "hello", "another")
	require.False(t, ok)
	_, err = w.SetMaintenance(t.Context(), ann, "hello", new(octo.Maintenance), strings.Repeat(" ", octo.MaxPage+1))
	require.ErrorIs(t, err, octo.ErrInvalid)

	req, err := http.NewRequest(http.MethodGet, "http://"+w.proxy.Addr().String(), nil)
	require.NoError(t, err)
	req.Host = "hello.apps.example.net"
	req.Header.Set("Accept", "text/html")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, 503, res.StatusCode)
	require.Equal(t, strings.ReplaceAll(html, "{{request_id}}", res.Header.Get("X-Request-Id")), string(body))
	require.Empty(t, res.Header.Get("Content-Security-Policy"), "it is the app's own word")
	_, p := w.get("hello.apps.example.net")
	require.Equal(t, "maintenance", p.Error, "programs get what they ask for")

	_, err = w.SetMaintenance(t.Context(), ann, "hello", nil, "")
	require.NoError(t, err)
	pages, err := w.store.List(t.Context(), store.PagesPrefix)
	require.NoError(t, err)
	require.Empty(t, pages)
}

func TestEdge_IsBoundedByTheOperator(t *testing.T) {
	w := newWorld(t, people()...)
	change := func(timeout time.Duration, body octo.Size, idle time.Duration) (octo.EdgeStatus, error) {
		d, i := octo.Duration(timeout), octo.Duration(idle)
		return w.SetEdge(context.Background(), ann, "hello", octo.EdgeChange{Timeout: &d, Body: &body, Idle: &i})
	}
	s, err := change(5*time.Minute, 100<<20, 0)
	require.NoError(t, err)
	require.Equal(t, octo.Edge{Timeout: octo.Duration(5 * time.Minute), Body: 100 << 20}, s.Set)
	require.Equal(t, s.Set, s.Holds)
	for _, c := range []struct {
		timeout time.Duration
		body    octo.Size
		idle    time.Duration
		says    string
	}{
		{2 * time.Hour, 0, 0, "timeout=2h0m0s is more than this octohost allows; the most is 1h0m0s"},
		{time.Millisecond, 0, 0, "timeout=1ms is too short"},
		{0, 2 << 30, 0, "body=2.0 GiB is more than this octohost allows"},
		{0, 1, 0, "body=1 B is too little"},
		{0, 0, time.Millisecond, "idle=1ms is too short"},
	} {
		_, err := change(c.timeout, c.body, c.idle)
		require.ErrorIs(t, err, octo.ErrInvalid)
		require.ErrorContains(t, err, c.says)
	}
	s, err = w.SetEdge(t.Context(), ann, "hello", octo.EdgeChange{Timeout: new(octo.Duration)})
	require.NoError(t, err)
	require.Equal(t, octo.Edge{Body: 100 << 20}, s.Set, "only what was named")
	require.Equal(t, octo.Edge{Timeout: octo.Duration(time.Minute), Body: 100 << 20}, s.Holds)
	other, err := w.Edge(t.Context(), "rival")
	require.NoError(t, err)
	require.Equal(t, octo.EdgeStatus{Holds: octo.Edge{Timeout: octo.Duration(time.Minute), Body: 1 << 30}, Most: s.Most}, other)
}

// push writes a release as a push does, live, and returns it.
func (w *world) push(app octo.Name, n int, names ...string) octo.Release {
	w.t.Helper()
	rel := octo.Release{App: app, Number: n, Author: "ann", Outcome: octo.Live, Names: append([]string{}, names...)}
	_, err := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}.Create(context.Background(), store.ReleaseName(app, n), rel)
	require.NoError(w.t, err)
	_, err = w.apps().Update(context.Background(), string(app), func(a *octo.App) error { a.Release, a.Live, a.Last = n, n, n; return nil })
	require.NoError(w.t, err)
	return rel
}

func TestPushed_ByTheSameRules(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(bob, "rival", "taken.example.com", "*.bob.example"))
	require.NoError(t, w.add(ann, "shop", "*.ann.example"))
	require.NoError(t, w.add(ann, "hello", "manual.example.com"))
	_, err := w.Redirect(t.Context(), ann, "hello", "sent.example.com", "manual.example.com", 0)
	require.NoError(t, err)

	rel := w.push("hello", 1, "Pushed.example.com", "pushed.example.com.", "manual.example.com", "sent.example.com", "taken.example.com", "www.bob.example",
		"www.ann.example", "apps.example.net", "1.2.3.4", "*.example.org")
	for range 2 { // heeded, and then only told
		serves, refused, err := w.Pushed(t.Context(), rel)
		require.NoError(t, err)
		require.Equal(t, []string{"pushed.example.com", "pushed.example.com", "manual.example.com", "*.example.org"}, serves)
		said := fmt.Sprint(refused)
		for _, why := range []string{
			"sent.example.com stays a redirect to manual.example.com", "taken.example.com is taken;", "www.bob.example is taken;", "www.ann.example is taken;",
			"apps.example.net is this server itself", `"1.2.3.4" cannot be the name of a site: it is an address`,
		} {
			require.Contains(t, said, why)
		}
		require.Len(t, refused, 6)
		require.NotContains(t, said, "shop", "a push sees nothing of other apps")
	}
	_, p := w.get("pushed.example.com")
	require.Equal(t, octo.Name("hello"), p.App)
	require.Equal(t, octo.DomainManual, w.all()["manual.example.com"].Source)

	_, _, err = w.Pushed(t.Context(), w.push("hello", 2, "*.example.org"))
	require.NoError(t, err)
	require.Equal(t, []string{"*.example.org", "manual.example.com", "sent.example.com"}, w.hosts("hello"))
	_, err = w.RemoveDomains(t.Context(), ann, "hello", octo.DomainServe, []string{"*.example.org"})
	require.NoError(t, err)
	_, _, err = w.Pushed(t.Context(), rel)
	require.NoError(t, err)
	require.Equal(t, []string{"manual.example.com", "sent.example.com"}, w.hosts("hello"), "each release is heeded once")
	require.NoError(t, w.add(bob, "rival", "pushed.example.com"), "it is free again")
}

// A name that somebody adds by hand stays when it goes from the file.
func TestPushed_BecomesManual(t *testing.T) {
	w := newWorld(t, people()...)
	_, _, err := w.Pushed(t.Context(), w.push("hello", 1, "example.com"))
	require.NoError(t, err)
	require.NoError(t, w.add(ann, "hello", "example.com"))
	_, _, err = w.Pushed(t.Context(), w.push("hello", 2))
	require.NoError(t, err)
	require.Equal(t, []string{"example.com"}, w.hosts("hello"))
}

// The push that nobody follows to its end is heeded all the same, also after octo died
// in between; a release that no push made says nothing.
func TestPushed_WithoutAFollower(t *testing.T) {
	w := newWorld(t, people()...)
	w.push("hello", 1, "a.example.com")
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		return func() { cancel(); require.NoError(t, <-ended) }
	}
	has := func(hosts ...string) func() bool {
		return func() bool { return slices.Equal(hosts, w.hosts("hello")) }
	}
	stop := run()
	require.Eventually(t, has("a.example.com"), 10*time.Second, 5*time.Millisecond)
	w.push("hello", 2, "b.example.com")
	require.Eventually(t, has("b.example.com"), 10*time.Second, 5*time.Millisecond)
	stop()

	w.push("hello", 3, "c.example.com")
	releases := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
	_, err := releases.Create(t.Context(), store.ReleaseName("hello", 4), octo.Release{App: "hello", Number: 4, Outcome: octo.Live})
	require.NoError(t, err)
	_, err = w.apps().Update(t.Context(), "hello", func(a *octo.App) error { a.Release, a.Live, a.Last = 4, 4, 4; return nil })
	require.NoError(t, err)
	_, err = w.docs().Create(t.Context(), "lost.example.com", octo.Domain{Host: "lost.example.com", App: "gone"})
	require.NoError(t, err)
	stop = run()
	defer stop()
	require.Eventually(t, has("c.example.com"), 10*time.Second, 5*time.Millisecond)
	require.NotContains(t, w.all(), "lost.example.com")
}

func TestCheckDomains(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(ann, "hello", "here.example.com", "away.example.com", "none.example.com", "*.wild.example.com"))
	w.zone = map[string][]string{
		"hello.apps.example.net": {"192.0.2.1"}, "here.example.com": {"192.0.2.1", "2001:db8::1"}, "away.example.com": {"192.0.2.9"},
		"octohost-check.wild.example.com": {"192.0.2.1"},
	}
	checks, err := w.CheckDomains(t.Context(), "hello")
	require.NoError(t, err)
	here := map[string]bool{}
	said := ""
	for _, c := range checks {
		here[c.Host] = c.Here
		said += c.Host + " " + c.Message + "\n"
	}
	require.Equal(t, map[string]bool{"here.example.com": true, "away.example.com": false, "none.example.com": false, "*.wild.example.com": true}, here)
	require.Contains(t, said, "away.example.com leads to 192.0.2.9, not here")
	require.Contains(t, said, "none.example.com has no address: point it there with a record of type CNAME to hello.apps.example.net, or A and AAAA to 192.0.2.1")
}
