package story_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// named returns the containers of an app's healthy instances by their names: "web.1".
func (w *world) named(app string) map[string]string {
	w.t.Helper()
	var instances []octo.Instance
	w.json(&instances, "ps", app)
	named := map[string]string{}
	for _, i := range instances {
		if i.Phase == octo.PhaseHealthy {
			named[i.ShortName()] = i.Container
		}
	}
	return named
}

func (w *world) processes(app string) map[octo.Name]octo.ProcessStatus {
	w.t.Helper()
	var list []octo.ProcessStatus
	w.json(&list, "ps:scale", "-a", app)
	all := map[octo.Name]octo.ProcessStatus{}
	for _, p := range list {
		all[p.Name] = p
	}
	return all
}

// Whatever people do with the processes of an app, its visitors do not notice, and what
// is not concerned goes on running.
func TestProcess_ChangesUnderLoadLoseNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "START_DELAY=500ms")
	r.write("Procfile", "web: /testapp\nworker: /testapp sleep 1h\n")
	out := r.deploy("v1")
	require.Contains(t, out, "worker is not started. To start it: octo ps:scale worker=1 -a hello")
	first := w.named("hello")["web.1"]
	visitors := w.visit("hello.localhost", nil)

	up := w.octo("ps:scale", "web=3", "worker=1", "-a", "hello")
	require.Equal(t, "web=3 worker=1\n", up.ok())
	for _, want := range []string{"-----> hello: Scale web to 3, worker to 1\n", "       web.1 stays\n", "=====> hello v2 live at"} {
		require.Contains(t, up.err, want)
	}
	require.Equal(t, []string{"web.1", "web.2", "web.3", "worker.1"}, keysOf(w.named("hello")))
	require.Equal(t, first, w.named("hello")["web.1"])

	down := w.octo("ps:scale", "web=-1", "-a", "hello")
	require.Equal(t, "web=2 worker=1\n", down.ok())
	require.Contains(t, down.err, "       web.3 goes\n")
	worker := w.named("hello")["worker.1"]
	w.ssher("ps", "restart", "web", "-a", "hello").ok()
	w.eventually(40*time.Second, "the old ones go", func() bool { return len(w.containers("hello")) == 3 })
	require.Equal(t, worker, w.named("hello")["worker.1"], "restarting web does not touch the worker")
	require.NotContains(t, w.named("hello"), first)

	require.Contains(t, w.octo("limits:set", "web", "memory=64m", "pids=50", "-a", "hello").ok(), "web      64.0 MiB")
	require.Equal(t, worker, w.named("hello")["worker.1"])
	require.Equal(t, "67108864\n", w.docker("inspect", "-f", "{{.HostConfig.Memory}}", w.named("hello")["web.1"]).ok())
	w.octo("rollback", "-a", "hello").ok()
	w.octo("rollback", "v1", "-a", "hello").ok()
	_, misses, lost := visitors.stop()
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
	w.eventually(40*time.Second, "v1 had one web", func() bool { return slices.Equal(keysOf(w.named("hello")), []string{"web.1"}) })
	require.Equal(t, 0, w.processes("hello")["worker"].Scale, "a rollback brings the formation back, too")

	var diff octo.ReleaseDiff
	w.json(&diff, "releases:diff", "v1", "v5", "-a", "hello")
	require.Contains(t, diff.Settings, octo.Difference{Of: "web", What: "memory", Old: "512.0 MiB", New: "64.0 MiB"})
	require.Contains(t, diff.Settings, octo.Difference{Of: "worker", What: "count", Old: "0", New: "1"})
	info := w.octo("releases:info", "v5", "-a", "hello").ok()
	for _, want := range []string{"Limit web: memory 64.0 MiB, pids 50", "/testapp sleep 1h", "64.0 MiB"} {
		require.Contains(t, info, want)
	}
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestProcess_StopAndStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	out := w.octo("ps:stop", "-a", "hello")
	require.Equal(t, "web=1 (stopped)\n", out.ok())
	require.Contains(t, out.err, "=====> hello v2 live (nothing of it runs)")
	w.eventually(40*time.Second, "nothing runs", func() bool { return len(w.containers("hello")) == 0 })
	status, _ := w.get("hello.localhost", "/")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, w.octo("ps", "hello").ok(), "stopped")

	r.commit("v2") // is built and released, and waits
	push := r.push()
	push.ok()
	require.Contains(t, push.err, "=====> hello v3 live (nothing of it runs)")
	require.Empty(t, w.containers("hello"))
	require.Equal(t, "web=1\n", w.octo("ps", "start", "web", "-a", "hello").ok())
	_, body := w.get("hello.localhost", "/")
	require.Equal(t, "v2", strings.TrimSpace(body))

	refused := w.octo("ps:scale", "wbe=2", "-a", "hello")
	require.Equal(t, 1, refused.code)
	refused.says("error: hello has no process wbe", "hint:  it has: web")
}

// A first release that needs more memory is given it before it is pushed again.
func TestProcess_LimitsBeforeTheFirstRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "OOM=1")
	r.push().fails()
	out := w.octo("limits:set", "web", "memory=64m", "-a", "hello")
	require.Empty(t, out.ok())
	require.Contains(t, out.err, "Limit web: memory 64.0 MiB: kept for its first release")
	r.write("Dockerfile", hello())
	r.deploy("v2")
	require.EqualValues(t, 64<<20, w.processes("hello")["web"].Memory)
}

// stint is a time in which a container ran.
type stint struct{ from, to time.Time }

// stints returns when the containers of a process ran, as the engine tells it.
func (w *world) stints(process string, since time.Time) []stint {
	w.t.Helper()
	out := w.docker("events", "--since", stamp(since), "--until", stamp(time.Now()), "--filter", "label=octohost.host="+w.host(), "--filter", "label=octohost.process="+process,
		"--filter", "event=start", "--filter", "event=die", "--format", "{{.TimeNano}} {{.Action}} {{.ID}}").ok()
	began := map[string]time.Time{}
	var all []stint
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		nano, err := strconv.ParseInt(fields[0], 10, 64)
		require.NoError(w.t, err)
		at := time.Unix(0, nano)
		if fields[1] == "start" {
			began[fields[2]] = at
			continue
		}
		all = append(all, stint{began[fields[2]], at})
		delete(began, fields[2])
	}
	for _, from := range began {
		all = append(all, stint{from, time.Now()})
	}
	slices.SortFunc(all, func(a, b stint) int { return a.from.Compare(b.from) })
	return all
}

func stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// A singleton is never there twice: not in a deploy, not in a restart, not when its
// successor fails, and not when the daemon dies in the middle.
func TestProcess_SingletonIsNeverThereTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := time.Now()
	r := w.repo("hello")
	r.write("Procfile", "web: /testapp\nclock: /testapp sleep 1h\n")
	r.write("octohost.toml", "[processes.clock]\nsingleton = true\ngrace = \"2s\"\n")
	r.deploy("v1")
	out := r.deploy("v2")
	require.Less(t, strings.Index(out, "web.1 is healthy"), strings.Index(out, "Stopping clock.1 of v1: there may be only one"))
	require.Contains(t, out, "clock.1 is healthy")
	w.octo("ps:restart", "clock", "-a", "hello").ok()

	r.write("Procfile", "web: /testapp\nclock: /testapp exit 3\n")
	r.commit("v3")
	r.push().fails()
	w.eventually(40*time.Second, "the old clock comes back", func() bool { return w.processes("hello")["clock"].Healthy == 1 })
	r.write("Procfile", "web: /testapp\nclock: /testapp sleep 1h\n")

	r.commit("v4")
	push := r.begin()
	push.until("Stopping clock.1")
	w.kill(9)
	push.end().fails()
	w.start()
	w.eventually(40*time.Second, "v4 is live", func() bool {
		_, body := w.get("hello.localhost", "/")
		return strings.TrimSpace(body) == "v4" && w.processes("hello")["clock"].Healthy == 1
	})
	require.Equal(t, 1, w.octo("ps:scale", "clock=2", "-a", "hello").code)

	all := w.stints("clock", began)
	require.GreaterOrEqual(t, len(all), 5)
	for i := 1; i < len(all); i++ {
		require.False(t, all[i].from.Before(all[i-1].to), "two at once: %v", all)
	}
}

// An app needs no web process; what only the Procfile names is started by scaling it.
func TestProcess_WorkerOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("jobs")
	r.write("Procfile", "worker: /testapp signals 1\n")
	r.commit("v1")
	push := r.push()
	push.ok()
	require.Contains(t, push.err, "worker is not started. To start it: octo ps:scale worker=1 -a jobs")
	require.Contains(t, push.err, "There is no web process, so nothing will answer requests.")
	require.Empty(t, w.containers("jobs"))
	out := w.octo("ps:scale", "worker=2", "-a", "jobs")
	require.Equal(t, "worker=2\n", out.ok())
	require.Contains(t, out.err, "=====> jobs v2 live (it has no web process)")
	require.Len(t, w.containers("jobs"), 2)
	w.eventually(10*time.Second, "they say so", func() bool { return strings.Count(w.octo("logs", "jobs").ok(), "ready") == 2 })
	status, _ := w.get("jobs.localhost", "/")
	require.NotEqual(t, http.StatusOK, status)
	require.Equal(t, "worker=2 (stopped)\n", w.octo("ps:stop", "worker", "-a", "jobs").ok())
	w.eventually(40*time.Second, "nothing runs", func() bool { return len(w.containers("jobs")) == 0 })
}

// The HEALTHCHECK of an image decides, and is not run twice.
func TestProcess_HealthcheckOfTheImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.write("octohost.toml", "[deploy]\nhealth_timeout = \"4s\"\n")
	r.write("Dockerfile", hello()+"HEALTHCHECK --interval=5s --timeout=2s --start-period=1s CMD [\"/testapp\", \"cat\", \"/nothing\"]\n")
	r.commit("v1")
	r.push().fails()
	info := w.octo("releases:info", "v1", "-a", "hello").ok()
	require.Contains(t, info, "the health command of web still ended with exit code 1 after")
	require.Contains(t, info, "`/testapp cat /nothing` ended with exit code 1: open /nothing: no such file or directory")

	r.write("Dockerfile", hello()+"HEALTHCHECK CMD curl -f http://localhost:5000/ || exit 1\n")
	r.commit("v1")
	push := r.push().fails()
	require.Contains(t, push, "the health command of web cannot be run: `curl -f http://localhost:5000/ || exit 1`")
	require.Contains(t, push, "put the program into the image")

	r.write("Dockerfile", hello()+"HEALTHCHECK --interval=5s CMD [\"/testapp\", \"cat\", \"/version.txt\"]\n")
	r.deploy("v1")
	require.Equal(t, octo.CheckCmd, w.processes("hello")["web"].Kind)
	require.Contains(t, w.octo("releases:info", "v3", "-a", "hello").ok(), "cmd /testapp cat /version.txt within 4s, every 5s")
	require.Equal(t, "[NONE]\n", w.docker("inspect", "-f", "{{.Config.Healthcheck.Test}}", w.named("hello")["web.1"]).ok())
	r.write("octohost.toml", "[deploy]\ncheck = \"tcp\"\n")
	r.deploy("v2")
	require.Contains(t, w.octo("ps", "hello").ok(), "tcp 5000")
}
