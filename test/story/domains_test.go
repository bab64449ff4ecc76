package story_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// serves checks which version a host answers with; an empty one means that nobody has it.
func (w *world) serves(host, version string) {
	w.t.Helper()
	status, body := w.get(host, "/")
	if version == "" {
		require.Equal(w.t, http.StatusNotFound, status, "%s: %s", host, body)
		return
	}
	require.Equal(w.t, http.StatusOK, status, "%s: %s", host, body)
	require.Equal(w.t, version, strings.TrimSpace(body), host)
}

// names returns the names of an app, without the one that it has by default.
func (w *world) names(app string) map[string]octo.DomainSource {
	w.t.Helper()
	var list []octo.Domain
	w.json(&list, "domains", app)
	names := map[string]octo.DomainSource{}
	for _, d := range list {
		if d.Source != octo.DomainDefault {
			names[d.Host] = d.Source
		}
	}
	return names
}

// Two apps of two people, from the first name to the last.
func TestDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.as("ann2")
	bob := w.as("bob")
	r := ann.repo("hello")
	r.deploy("v1")
	bob.repo("other").deploy("other")
	owner := func(args ...string) result { return w.sshAs("ann2", append(args, "-a", "hello")...) }
	rival := func(args ...string) result { return w.sshAs("bob", append(args, "-a", "other")...) }

	owner("domains:add", "WWW.Example.com", "example.com", "*.example.org", "bücher.example").ok()
	for _, host := range []string{"www.example.com", "example.com:8080", "any.example.org", "xn--bcher-kva.example", "hello.localhost"} {
		w.serves(host, "v1")
	}
	for _, host := range []string{"example.org", "a.b.example.org", "x.example.com"} {
		w.serves(host, "")
	}
	for _, host := range []string{"example.com", "*.example.com", "a.example.org", "a.b.example.org", "*.a.example.org", "example.org", "bücher.example"} {
		out := rival("domains:add", host)
		require.Equal(t, 1, out.code, host)
		require.Contains(t, out.err, "is taken", host)
		require.NotContains(t, out.err, "hello", "whose it is, is nobody's business")
	}
	for host, code := range map[string]int{"hello.localhost": 1, "x.hello.localhost": 1, "nobody.localhost": 1, "localhost": 2, "127.0.0.1": 2, "com": 2, "a_b.example": 2} {
		require.Equal(t, code, rival("domains:add", host).code, host)
	}
	require.Contains(t, w.octo("domains:add", "example.com", "-a", "other").err, "example.com is taken by hello")
	w.serves("other.localhost", "other")

	owner("redirects:add", "old.example.com", "www.example.com").ok()
	resp, _ := w.ask(http.MethodGet, "old.example.com", "/a%2Fb?c=d&e", nil, nil)
	require.Equal(t, http.StatusPermanentRedirect, resp.StatusCode)
	require.Equal(t, "http://www.example.com/a%2Fb?c=d&e", resp.Header.Get("Location"))
	require.Equal(t, 1, owner("redirects:add", "www.example.com", "old.example.com").code, "in a circle")

	r.commit("v2")
	r.push().ok()
	w.octo("rollback", "-a", "hello").ok()
	w.kill(syscall.SIGKILL)
	w.start()
	for _, host := range []string{"www.example.com", "any.example.org", "hello.localhost"} {
		w.serves(host, "v1") // names are no part of a release, and outlive octo
	}
	owner("domains:remove", "www.example.com").ok()
	w.serves("www.example.com", "")
	require.Contains(t, owner("apps:info").ok(), "domains    *.example.org example.com xn--bcher-kva.example\n")

	w.octo("apps:destroy", "hello", "--confirm", "hello").ok()
	rival("domains:add", "example.com", "x.example.org").ok()
	w.serves("example.com", "other")
	w.serves("any.example.org", "")
	events := w.octo("events", "other").ok()
	require.Contains(t, events, "domain.added")
	require.NotContains(t, w.octo("events").ok(), "bcher", "nothing is left of a destroyed app")
}

// The CNAME file of the original is honoured, by the same rules, and never against what
// people said.
func TestDomains_OfTheCNAMEFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.as("bob").repo("other")
	other.write("CNAME", "taken.example.com\n")
	other.deploy("other")
	w.serves("taken.example.com", "other")

	r := w.repo("hello")
	r.deploy("v1")
	w.octo("domains:add", "manual.example.com", "gone.example.com", "-a", "hello").ok()
	w.octo("redirects:add", "sent.example.com", "manual.example.com", "-a", "hello").ok()
	r.write("CNAME", "# ours\nWWW.example.com\r\nbücher.example # in German\ntaken.example.com\nmanual.example.com\n1.2.3.4\nother.localhost\nsent.example.com\n")
	r.commit("v2")
	out := r.push()
	out.ok()
	out.says("       Also at www.example.com", "       Also at xn--bcher-kva.example", "       Also at manual.example.com")
	out.says(" !     CNAME: taken.example.com is taken", ` !     CNAME: "1.2.3.4" cannot be the name of a site: it is an address`,
		" !     CNAME: names below localhost are those of the apps of this server", " !     CNAME: sent.example.com stays a redirect to manual.example.com")
	w.serves("www.example.com", "v2")
	w.serves("xn--bcher-kva.example", "v2")
	w.serves("taken.example.com", "other")
	manual, pushed := octo.DomainManual, octo.DomainPushed
	want := map[string]octo.DomainSource{
		"manual.example.com": manual, "gone.example.com": manual, "sent.example.com": manual, "www.example.com": pushed, "xn--bcher-kva.example": pushed,
	}
	require.Equal(t, want, w.names("hello"))

	w.octo("rollback", "-a", "hello").ok()
	w.serves("www.example.com", "v1")
	require.Equal(t, want, w.names("hello"), "going back changes no names")

	r.write("CNAME", "xn--bcher-kva.example\n")
	r.write("Dockerfile", hello("EXIT_CODE=1"))
	r.commit("broken")
	r.push().fails()
	require.Equal(t, want, w.names("hello"), "nor does what fails")

	r.write("Dockerfile", hello())
	r.deploy("v3")
	w.serves("www.example.com", "")
	delete(want, "www.example.com")
	require.Equal(t, want, w.names("hello"))
	w.octo("domains:add", "www.example.com", "-a", "other").ok()

	r.git("rm", "-q", "CNAME").ok()
	r.commit("v4")
	r.git("push", "-o", "no-wait", "octo", "main").ok() // nobody follows this one
	delete(want, "xn--bcher-kva.example")
	w.eventually(30*time.Second, "the names of the file are free", func() bool { return len(w.names("hello")) == len(want) })
	require.Equal(t, want, w.names("hello"))
}

// What somebody sets in front of one app is live when the command returns, and says
// nothing about another.
func TestDomains_MaintenanceAndLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	w.repo("bystander").deploy("v1")
	bystanders := w.visit("bystander.localhost", nil)
	before := w.footprint("bystander")
	containers := w.containers("hello")

	w.octo("maintenance:on", "hello", "--message", "Back at noon.", "--retry", "2h").ok()
	resp, body := w.ask(http.MethodGet, "hello.localhost", "/", nil, nil)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "7200", resp.Header.Get("Retry-After"))
	require.Equal(t, "503 Back soon\nBack at noon.\napp: hello\nrequest id: "+resp.Header.Get("X-Request-Id")+"\n", body)
	var instances []octo.Instance
	w.json(&instances, "ps", "hello")
	require.Equal(t, octo.PhaseHealthy, instances[0].Phase, "it is checked as ever")
	w.octo("maintenance:off", "hello").ok()
	w.serves("hello.localhost", "v1")

	w.octo("proxy:set", "timeout=1s", "body=100k", "-a", "hello").ok()
	post := func(host string, body io.Reader) int {
		resp, _ := w.ask(http.MethodPost, host, "/upload", nil, body)
		return resp.StatusCode
	}
	large := make([]byte, 101<<10)
	require.Equal(t, http.StatusRequestEntityTooLarge, post("hello.localhost", bytes.NewReader(large)))
	require.Equal(t, http.StatusRequestEntityTooLarge, post("hello.localhost", io.MultiReader(bytes.NewReader(large))), "also without a length")
	require.Equal(t, http.StatusOK, post("hello.localhost", bytes.NewReader(large[:100<<10])))
	require.Equal(t, http.StatusOK, post("bystander.localhost", bytes.NewReader(large)))
	status, body := w.get("hello.localhost", "/late?for=5s")
	require.Equal(t, http.StatusGatewayTimeout, status)
	require.Contains(t, body, "app: hello")
	status, _ = w.get("bystander.localhost", "/late?for=2s")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, w.octo("proxy:set", "timeout=2h", "-a", "hello").fails(), "the most is 1h0m0s")
	w.octo("proxy:set", "timeout=default", "body=default", "-a", "hello").ok()
	require.Equal(t, http.StatusOK, post("hello.localhost", bytes.NewReader(large)))

	require.Equal(t, containers, w.containers("hello"), "nothing was started anew")

	w.octo("ps:stop", "web", "-a", "hello").ok()
	resp, body = w.ask(http.MethodGet, "hello.localhost", "/", nil, nil)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "60", resp.Header.Get("Retry-After"))
	require.Contains(t, body, "503 Stopped\nThis app was stopped, and is not started at the moment.\n")
	w.octo("ps:start", "-a", "hello").ok()
	w.serves("hello.localhost", "v1")
	require.Equal(t, before, w.footprint("bystander"))
	_, misses, lost := bystanders.stop()
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
}

// An operator's bounds hold for what was set before them.
func TestDomains_TheOperatorsBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	w.octo("proxy:set", "body=10m", "-a", "hello").ok()
	w.kill(syscall.SIGTERM)
	require.NoError(t, os.WriteFile(w.path("octo.toml"), []byte("[proxy]\nmax_body = \"1k\"\n"), 0o600))
	w.start()
	resp, _ := w.ask(http.MethodPost, "hello.localhost", "/upload", nil, bytes.NewReader(make([]byte, 1025)))
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	require.Regexp(t, `body +1.0 KiB +set +1.0 KiB\n`, w.octo("proxy", "hello").ok())
}

// Octo is killed between one name and the next: nothing is stuck, and what a push asked
// for is done when it is back.
func TestDomains_KilledBetweenClaims(t *testing.T) {
	for _, point := range []string{"edge-after-claim:1", "edge-after-claim:2", "edge-before-heeded"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.repo("hello")
			r.deploy("v1")
			w.kill(syscall.SIGTERM)
			w.start("OCTO_FAILPOINT=" + point)
			r.write("CNAME", "a.example.com\nb.example.com\n")
			r.commit("v2")
			r.push() // its end says nothing
			w.died()
			w.start()
			both := map[string]octo.DomainSource{"a.example.com": octo.DomainPushed, "b.example.com": octo.DomainPushed}
			w.eventually(10*time.Second, "the names are there", func() bool { return len(w.names("hello")) == 2 })
			require.Equal(t, both, w.names("hello"))
			w.eventually(10*time.Second, "visitors are served", func() bool { status, _ := w.get("a.example.com", "/"); return status == http.StatusOK })
			w.serves("a.example.com", "v2")
			w.kill(syscall.SIGTERM)
			w.start("OCTO_FAILPOINT=edge-after-claim")
			w.octo("domains:add", "c.example.com", "d.example.com", "-a", "hello").fails()
			w.died()
			w.start()
			w.octo("domains:add", "c.example.com", "d.example.com", "-a", "hello").ok()
			w.serves("d.example.com", "v2")
			w.octo("domains:clear", "hello").ok()
			require.Empty(t, w.names("hello"))
		})
	}
}
