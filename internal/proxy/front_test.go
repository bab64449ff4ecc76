package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
)

// fronted runs an app with one instance behind a front.
func (r *rig) fronted(route octo.Route, h http.HandlerFunc) {
	r.t.Helper()
	id := octo.NewInstanceID(route.App, octo.Web, 1, 1)
	r.run(id, h)
	route.Release, route.Backends = 1, []octo.Backend{{Instance: id, Node: "a"}}
	r.SetShard(string(route.App), []octo.Route{route})
}

func TestTable_AWholeNameGoesBeforeAWildcard(t *testing.T) {
	r := testRoutes(io.Discard)
	r.put("1", claim("wild", "*.example.com", "*.b.example.com", "*"), claim("exact", "www.example.com"), claim("apex", "example.com"))
	for host, want := range map[string]octo.Name{
		"www.example.com": "exact", "other.example.com": "wild", "example.com": "apex", "a.b.example.com": "wild", "b.example.com": "wild",
		"a.c.example.com": "", "x.y.b.example.com": "", "com": "", "www.notexample.com": "", ".example.com": "", "1.2.3.4": "",
	} {
		require.Equal(t, want, r.owner(host), host)
	}
	r.put("1", claim("exact", "www.example.com"))
	require.Empty(t, r.owner("other.example.com"))
}

// TestTable_FindsWhatMatches compares the table with hostname.Matches: the rule by which
// names are given away is the one by which requests find them.
func TestTable_FindsWhatMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.SampledFrom([]string{"a", "b", "c"})
		name := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".") + ".test"
		})
		held := map[string]octo.Name{}
		var list []octo.Route
		for i, host := range rapid.SliceOfNDistinct(name, 0, 8, rapid.ID).Draw(t, "names") {
			if rapid.Bool().Draw(t, "wild") {
				host = "*." + host
			}
			held[host] = octo.Name(fmt.Sprint("app", i))
			list = append(list, claim(held[host], host))
		}
		r := testRoutes(io.Discard)
		r.put("1", list...)
		host := name.Draw(t, "host")
		want := held[host]
		for given, app := range held {
			if want == "" && hostname.Matches(given, host) {
				want = app
			}
		}
		if got := r.owner(host); got != want {
			t.Fatalf("%s of %v is %q's, want %q", host, held, got, want)
		}
	})
}

func TestLookup_LeavesTheHostAsItWas(t *testing.T) {
	r := testRoutes(io.Discard)
	r.put("1", claim("a", "*.example.com"))
	host := []byte("www.example.com")
	require.NotNil(t, r.table.Load().site(host))
	require.Equal(t, "www.example.com", string(host))
	require.Zero(t, testing.AllocsPerRun(100, func() { r.table.Load().site(host) }))
}

func TestRedirect_KeepsPathAndQuery(t *testing.T) {
	r := start(t)
	r.fronted(octo.Route{App: "app", Hosts: []string{"app.test", "www.app.test", "old.test", "*.old.test", "self.test"}, Redirects: []octo.Redirect{
		{Host: "www.app.test", Target: "app.test", Code: 308},
		{Host: "old.test", Target: "https://new.test:8443", Code: 302},
		{Host: "*.old.test", Target: "http://app.test", Code: 301},
		{Host: "self.test", Target: "self.test", Code: 308},
	}}, hello("the app"))
	for _, c := range []struct {
		host, target, location, cache string
		status                        int
	}{
		{"www.app.test", "/a%2Fb|c?q=1&r=%20", "http://app.test/a%2Fb|c?q=1&r=%20", "max-age=3600", 308},
		{"WWW.app.test:8080", "/", "http://app.test:8080/", "max-age=3600", 308},
		{"www.app.test", "//evil.test/%0d%0aX: y", "http://app.test//evil.test/%0d%0aX:%20y", "max-age=3600", 308},
		{"www.app.test", "http://www.app.test/x?y", "http://app.test/x?y", "max-age=3600", 308},
		{"www.app.test", "/?", "http://app.test/?", "max-age=3600", 308},
		{"old.test:8080", "/x", "https://new.test:8443/x", "no-store", 302},
		{"any.old.test", "/x", "http://app.test/x", "max-age=3600", 301},
	} {
		conn := r.dial()
		conn.send("GET " + strings.ReplaceAll(c.target, " ", "%20") + " HTTP/1.1\nHost: " + c.host + "\n\n")
		res, body := r.read(conn.response())
		require.Equal(t, c.status, res.StatusCode, c.target)
		require.Equal(t, c.location, res.Header.Get("Location"))
		require.Equal(t, c.cache, res.Header.Get("Cache-Control"))
		require.Contains(t, body, "request id: "+res.Header.Get(headerID))
	}
	res, body := r.get("app.test", "/")
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "the app", body)
	res, body = r.get("self.test", "/")
	require.Equal(t, 404, res.StatusCode, "it would lead to itself")
	require.NotContains(t, body, "app:")
	rec := r.log.await(t, 1)
	require.Equal(t, 308, rec.Status)
	require.Equal(t, "app", rec.App)
	require.Empty(t, rec.Instance)
	require.Empty(t, rec.Error)
}

func TestRedirect_KeepsTheSchemeThatATrustedPeerNames(t *testing.T) {
	r := start(t, func(c *Config) { c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	r.fronted(octo.Route{App: "app", Hosts: []string{"www.app.test"}, Redirects: []octo.Redirect{{Host: "www.app.test", Target: "app.test", Code: 307}}}, hello(""))
	q := r.request("POST", "www.app.test", "/x", strings.NewReader("body"))
	q.Header.Set("X-Forwarded-Proto", "https")
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(q)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	require.Equal(t, "https://app.test/x", res.Header.Get("Location"))
}

func TestMaintenance_KeepsVisitorsAway(t *testing.T) {
	r := start(t)
	asked := 0
	app := func(http.ResponseWriter, *http.Request) { asked++ }
	for _, c := range []struct {
		set            octo.Maintenance
		says, comeBack string
	}{
		{octo.Maintenance{}, "closed for maintenance", "60"},
		{octo.Maintenance{Message: "Moving <b>house</b>.", Retry: octo.Duration(90 * time.Minute)}, "Moving <b>house</b>.", "5400"},
	} {
		r.fronted(octo.Route{App: "app", Hosts: []string{"app.test"}, Maintenance: &c.set}, app)
		res, body := r.get("app.test", "/")
		require.Equal(t, 503, res.StatusCode)
		require.Equal(t, c.comeBack, res.Header.Get("Retry-After"))
		require.Contains(t, body, c.says)
		require.Contains(t, body, "request id: "+res.Header.Get(headerID))
	}
	q := r.request("GET", "app.test", "/", nil)
	q.Header.Set("Accept", "text/html")
	_, body := r.read(r.do(q))
	require.Contains(t, body, "Moving &lt;b&gt;house&lt;/b&gt;.")
	require.Zero(t, asked)
	require.Equal(t, "maintenance", r.log.await(t, 1).Error)
	r.fronted(octo.Route{App: "app", Hosts: []string{"app.test"}}, app)
	res, _ := r.get("app.test", "/")
	require.Equal(t, 200, res.StatusCode)
}

func TestPages_AStoppedAppSaysSo(t *testing.T) {
	r := start(t)
	id := r.site("app", hello("x"))
	res, _ := r.get("app.test", "/")
	require.Equal(t, 200, res.StatusCode)
	r.SetShard("app", []octo.Route{{App: "app", Hosts: []string{"app.test"}, Stopped: true}})
	began := time.Now()
	res, body := r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
	require.Contains(t, body, "This app was stopped")
	require.Less(t, time.Since(began), time.Second, "nobody waits for it")
	r.Forget(id)
}

// What one app may do says nothing about another.
func TestEdge_EveryAppHasItsOwn(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.AnswerTimeout = 20 * time.Second })
	slow := func(w http.ResponseWriter, q *http.Request) {
		n, err := io.Copy(io.Discard, q.Body)
		select {
		case <-time.After(300 * time.Millisecond):
		case <-q.Context().Done():
		}
		_, _ = fmt.Fprint(w, n, err)
	}
	r.fronted(octo.Route{App: "strict", Hosts: []string{"strict.test"}, Edge: octo.Edge{Timeout: octo.Duration(50 * time.Millisecond), Body: 100}}, slow)
	r.fronted(octo.Route{App: "lax", Hosts: []string{"lax.test"}, Edge: octo.Edge{Timeout: octo.Duration(time.Minute), Body: 1 << 20}}, slow)
	r.fronted(octo.Route{App: "plain", Hosts: []string{"plain.test"}}, slow)

	post := func(host string, body io.Reader) (int, string) {
		res, text := r.read(r.do(r.request("POST", host, "/", body)))
		return res.StatusCode, text
	}
	chunked := func(n int) io.Reader { return io.MultiReader(bytes.NewReader(make([]byte, n))) }
	for _, host := range []string{"lax.test", "plain.test"} {
		status, text := post(host, chunked(1000))
		require.Equal(t, 200, status)
		require.Equal(t, "1000 <nil>", text)
	}
	status, text := post("strict.test", bytes.NewReader(make([]byte, 100)))
	require.Equal(t, 504, status)
	require.Contains(t, text, "did not begin to answer")
	status, text = post("strict.test", bytes.NewReader(make([]byte, 101)))
	require.Equal(t, 413, status)
	require.Contains(t, text, "larger than this site takes")
	status, _ = post("strict.test", chunked(101))
	require.Equal(t, 413, status)
	status, _ = post("lax.test", chunked(1<<20+1))
	require.Equal(t, 413, status)
	status, _ = post("plain.test", chunked(1<<20+1))
	require.Equal(t, 200, status)

	r.fronted(octo.Route{App: "strict", Hosts: []string{"strict.test"}}, slow)
	status, _ = post("strict.test", chunked(101))
	require.Equal(t, 200, status, "from now on as for all")
}

func TestEdge_NobodyGoesBeyondTheMost(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Limits.BodyBytes, c.Limits.Most = 100, octo.Edge{Timeout: octo.Duration(50 * time.Millisecond), Body: 1000}
	})
	r.fronted(octo.Route{App: "app", Hosts: []string{"app.test"}, Edge: octo.Edge{Timeout: octo.Duration(time.Hour), Body: 1 << 40}}, func(_ http.ResponseWriter, q *http.Request) {
		<-q.Context().Done()
	})
	res, _ := r.read(r.do(r.request("POST", "app.test", "/", bytes.NewReader(make([]byte, 1001)))))
	require.Equal(t, 413, res.StatusCode)
	res, _ = r.get("app.test", "/")
	require.Equal(t, 504, res.StatusCode)
	r.fronted(octo.Route{App: "other", Hosts: []string{"other.test"}}, hello("x"))
	res, _ = r.read(r.do(r.request("POST", "other.test", "/", bytes.NewReader(make([]byte, 101)))))
	require.Equal(t, 413, res.StatusCode)
}

func TestEdge_SilenceEndsAStream(t *testing.T) {
	r := start(t)
	var app http.HandlerFunc = func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/socket":
			echoSocket(w, q)
		case "/talks":
			for i := range 10 {
				_, _ = fmt.Fprint(w, i)
				flush(w)
				<-time.After(60 * time.Millisecond)
			}
		default:
			flush(w)
			<-q.Context().Done()
		}
	}
	r.fronted(octo.Route{App: "app", Hosts: []string{"app.test"}, Edge: octo.Edge{Idle: octo.Duration(300 * time.Millisecond)}}, app)
	_, body := r.get("app.test", "/talks")
	require.Equal(t, "0123456789", body, "longer than the limit, but never silent")

	_, err := io.ReadAll(r.do(r.request("GET", "app.test", "/", nil)).Body)
	require.Error(t, err)
	require.Equal(t, "nothing was sent for too long", r.log.await(t, 2).Error)

	s, err := openSocket(r.dial(), "app.test")
	require.NoError(t, err)
	for range 10 {
		require.NoError(t, s.echo("still there"))
		<-time.After(60 * time.Millisecond)
	}
	require.Equal(t, "nothing was sent for too long", r.log.await(t, 3).Error)
	require.Error(t, s.echo("too late"))
}
