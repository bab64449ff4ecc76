package story_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// footprint is all that must not change when another app does.
func (w *world) footprint(app string) string {
	w.t.Helper()
	args := append([]string{"inspect", "-f", "{{.Id}} {{.State.StartedAt}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"}, w.containers(app)...)
	return w.docker(args...).ok() + w.octo("releases", "-a", app, "--json").ok() + w.octo("events", app, "--json").ok()
}

// The original found apps by grep. Names that begin alike have nothing in common here.
func TestApps_NamesThatBeginAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	html := w.repo("html")
	html.deploy("html v1")
	others := map[string]*repo{"html2": w.repo("html2"), "html-staging": w.repo("html-staging")}
	for name, r := range others {
		r.deploy("this is " + name)
	}
	before := map[string]string{}
	for name := range others {
		before[name] = w.footprint(name)
	}
	untouched := func(when string) {
		for name, r := range others {
			require.Equal(t, before[name], w.footprint(name), "%s after %s", name, when)
			r.stillServes("this is " + name)
		}
	}
	html.deploy("html v2")
	untouched("a deploy")
	html.git("checkout", "-q", "-b", "staging").ok()
	html.commit("staging")
	html.git("push", "octo", "staging").fails()
	html.stillServes("html v2")
	untouched("a push of a branch")
	w.octo("rollback", "-a", "html").ok()
	html.stillServes("html v1")
	untouched("a rollback")
	w.octo("apps:destroy", "html", "--confirm", "html").ok()
	untouched("a destroy")
	status, _ := w.get("html.localhost", "/")
	require.Equal(t, http.StatusNotFound, status)
}

// down requests a page until it is well again; every other answer must be a friendly
// page that names the request. It returns what visitors were told.
func (w *world) down(host string) map[int]string {
	w.t.Helper()
	pages := map[int]string{}
	w.eventually(60*time.Second, host+" is back", func() bool {
		resp, body := w.ask(http.MethodGet, host, "/", nil, nil)
		if resp.StatusCode == http.StatusOK {
			return true
		}
		require.Contains(w.t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, resp.StatusCode)
		require.Contains(w.t, body, "request id: "+resp.Header.Get("X-Request-Id"))
		require.Regexp(w.t, uuid7, resp.Header.Get("X-Request-Id"))
		if resp.StatusCode == http.StatusServiceUnavailable {
			require.Equal(w.t, "5", resp.Header.Get("Retry-After"))
		}
		pages[resp.StatusCode] = body
		return false
	})
	return pages
}

var uuid7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Whatever kills an app's containers, its visitors get a page that says so (it starts for
// longer than the proxy holds a request), others
// notice nothing, and it comes back by itself.
func TestApps_KilledInstancesComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("victim", "START_DELAY=5s").deploy("v1")
	w.repo("bystander").deploy("v1")
	bystanders := w.visit("bystander.localhost", nil)
	before := w.footprint("bystander")
	for _, c := range []struct {
		how  string
		kill func()
	}{
		{"kill", func() { w.docker(append([]string{"kill"}, w.containers("victim")...)...).ok() }},
		{"rm", func() { w.docker(append([]string{"rm", "-f"}, w.containers("victim")...)...).ok() }},
		{"stop", func() { w.docker(append([]string{"stop"}, w.containers("victim")...)...).ok() }},
		{"exit", func() { w.get("victim.localhost", "/exit?code=7") }},
	} {
		c.kill()
		pages := w.down("victim.localhost")
		require.NotEmpty(t, pages, "%s: nobody noticed", c.how)
		_, body := w.get("victim.localhost", "/")
		require.Equal(t, "v1", strings.TrimSpace(body), c.how)
	}
	require.Equal(t, before, w.footprint("bystander"))
	_, misses, lost := bystanders.stop()
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))

	var instances []octo.Instance
	w.json(&instances, "ps", "victim")
	require.Len(t, instances, 1)
	require.Equal(t, octo.PhaseHealthy, instances[0].Phase)
	require.GreaterOrEqual(t, instances[0].Restarts, 3)
	var releases []octo.Release
	w.json(&releases, "releases", "-a", "victim")
	require.Len(t, releases, 1, "coming back is no release")
	events := w.octo("events", "victim").ok()
	require.Regexp(t, `instance\.down +victim v1 +.*web exited with code 7`, events)
	require.Contains(t, events, "instance.up")
}

// An app over its memory limit is killed and started again, and people are told why.
func TestApps_OutOfMemoryWhileItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hungry")
	r.write("octohost.toml", "[deploy]\nmemory = \"48m\"\n")
	r.deploy("v1")
	resp, _ := w.ask(http.MethodGet, "hungry.localhost", "/eat", nil, nil)
	require.NotNil(t, resp)
	w.down("hungry.localhost")
	require.Regexp(t, `instance\.oom +hungry v1 +.*it used more memory than its limit of 48 MB`, w.octo("events", "hungry").ok())
}

// remains lists what is left of an app anywhere.
func (w *world) remains(app string) []string {
	w.t.Helper()
	var left []string
	add := func(what, text string) {
		for line := range strings.Lines(text) {
			left = append(left, what+" "+strings.TrimSpace(line))
		}
	}
	labels := []string{"--filter", "label=octohost.host=" + w.host(), "--filter", "label=octohost.app=" + app}
	add("container", w.docker(append([]string{"ps", "-aq"}, labels...)...).ok())
	add("image", w.docker(append([]string{"images", "-aq"}, labels...)...).ok())
	add("volume", w.docker(append([]string{"volume", "ls", "-q"}, labels...)...).ok())
	networks := strings.Fields(w.docker("network", "ls", "-q", "--filter", "label=octohost.host="+w.host()).ok())
	for _, network := range networks {
		ends := w.docker("network", "inspect", "-f", "{{range .Containers}}{{println .Name}}{{end}}", network).ok()
		for name := range strings.FieldsSeq(ends) {
			if strings.Contains(name, app) {
				add("endpoint", name)
			}
		}
	}
	add("file", w.command("find", w.path("data"), "-name", "*"+app+"*").ok())
	for _, list := range [][]string{{"apps"}, {"ps"}, {"keys"}} {
		if text := w.octo(append(list, "--json")...).ok(); strings.Contains(text, app) {
			add(list[0], text)
		}
	}
	for line := range strings.Lines(w.octo("events", "--json").ok()) {
		if strings.Contains(line, app) && !strings.Contains(line, `"app.destroyed"`) {
			add("event", line)
		}
	}
	return left
}

func TestApps_DestroyLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keep := w.repo("keep")
	keep.deploy("v1")
	r := w.repo("doomed", "LOG=a secret of the past")
	r.deploy("v1")
	r.deploy("v2")
	w.get("doomed.localhost", "/log?text=hello")
	r.write("Dockerfile", hello("EXIT_CODE=1"))
	r.rejected("v3")
	images := strings.Fields(w.docker("images", "-aq", "--no-trunc", "--filter", "label=octohost.host="+w.host(), "--filter", "label=octohost.app=doomed").ok())
	require.NotEmpty(t, images)
	before, traces := w.footprint("keep"), strings.Join(w.remains("doomed"), "\n")
	for _, kind := range []string{"container", "image", "endpoint", "file", "apps", "ps", "event"} {
		require.Contains(t, "\n"+traces, "\n"+kind+" ", "this test would not see it")
	}

	out := w.octo("apps:destroy", "doomed")
	require.Equal(t, 2, out.code)
	out.says("error: destroying doomed must be confirmed", "hint:  octo apps:destroy doomed --confirm doomed")
	out = w.octo("apps:destroy", "doomed", "--confirm", "keep")
	require.Equal(t, 2, out.code)
	out.says(`error: nothing was destroyed: "keep" is not doomed`)
	r.git("reset", "-q", "--hard", "HEAD~1").ok()
	r.stillServes("v2")

	out = w.octo("apps:destroy", "doomed", "--confirm", "doomed")
	out.ok()
	out.says("destroyed doomed")
	require.Empty(t, w.remains("doomed"))
	for _, id := range images {
		require.Empty(t, strings.TrimSpace(w.docker("ps", "-aq", "--filter", "ancestor="+id).out))
		require.NotZero(t, w.docker("image", "inspect", id).code, id)
	}
	for _, command := range []string{"apps:info", "logs", "releases", "ps", "events"} {
		out := w.octo(command, "-a", "doomed")
		require.Equal(t, 3, out.code, command)
		out.says("error: no app named doomed")
	}
	status, _ := w.get("doomed.localhost", "/")
	require.Equal(t, http.StatusNotFound, status)
	keep.stillServes("v1")
	require.Equal(t, before, w.footprint("keep"))

	r.write("Dockerfile", hello()) // the name is free, and has no past
	r.commit("new")
	out = r.push()
	out.ok()
	out.says("-----> Creating app doomed", "-----> Releasing v1 (it goes on by itself from here, also if you disconnect)")
	r.stillServes("new")
	require.NotContains(t, w.octo("logs", "-a", "doomed").ok(), "secret")
	require.Equal(t, 3, strings.Count(w.octo("events", "doomed", "--json").ok(), "\n"), "created, released, live")
}

// A destroy in the middle of things ends them, too; also when the daemon dies meanwhile.
func TestApps_DestroyInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("doomed", "START_DELAY=20s")
	push := r.begin()
	push.until("Starting web.1")
	w.octo("apps:destroy", "doomed", "--confirm", "doomed").ok()
	out := push.end()
	out.fails()
	require.Contains(t, out.out, "doomed was destroyed meanwhile")
	require.Empty(t, w.remains("doomed"))

	r.write("Dockerfile", strings.Replace(hello(), "EXPOSE", "RUN [\"/testapp\", \"sleep\", \"2s\"]\nEXPOSE", 1))
	r.commit("slow to build")
	push = r.begin()
	push.until("-----> Building doomed")
	destroy := w.begin(w.dir, nil, octoBinary(t), "apps:destroy", "doomed", "--confirm", "doomed")
	out = push.end()
	out.fails()
	require.Contains(t, out.out, "no app named doomed")
	over := time.Now()
	destroy.end().ok()
	require.Less(t, time.Since(over), 10*time.Second)
	require.Empty(t, w.remains("doomed"))

	w.octo("apps:create", "doomed").ok() // an empty one
	w.octo("apps:destroy", "doomed", "--confirm", "doomed").ok()
	require.Empty(t, w.remains("doomed"))

	r.write("Dockerfile", hello("IGNORE_SIGTERM=1"))
	r.write("octohost.toml", "[deploy]\ngrace = \"2s\"\n")
	r.deploy("stubborn")
	destroy = w.begin(w.dir, nil, octoBinary(t), "apps:destroy", "doomed", "--confirm", "doomed")
	destroy.until("Destroying doomed")
	w.kill(syscall.SIGKILL)
	destroy.end().fails()
	w.start()
	w.eventually(60*time.Second, "it is gone", func() bool { return w.octo("apps:info", "doomed").code == 3 })
	require.Empty(t, w.remains("doomed"))
}

// Requests in flight end before their app does.
func TestApps_DestroyWaitsForRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	slow := make(chan string, 1)
	go func() { // ends with the request
		_, body := w.get("hello.localhost", "/slow?for=2s")
		slow <- body
	}()
	w.eventually(10*time.Second, "the request arrives", func() bool { return w.inFlight("hello") > 0 })
	w.octo("apps:destroy", "hello", "--confirm", "hello").ok()
	require.Contains(t, <-slow, "done")
	require.Empty(t, w.remains("hello"))
	entries, err := os.ReadDir(filepath.Join(w.path("data"), "git"))
	require.NoError(t, err)
	for _, e := range entries {
		require.Equal(t, ".octo", e.Name())
	}
}
