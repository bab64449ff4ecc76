package story_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// What is committed is what is built, less what .dockerignore leaves out, by either
// builder.
func TestDeploy_BuildContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, run := range map[string]string{"plain": "", "with-run": "RUN [\"/app/testapp\", \"say\", \"built\"]\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.with(t).repo(name)
			r.write("Dockerfile", "FROM scratch\nCOPY . /app/\n"+run+"EXPOSE 5000\nCMD [\"/app/testapp\"]\n")
			r.write(".dockerignore", "secret.txt\n**/*.md\n!docs/keep.md\n")
			r.write(".gitignore", "junk\n")
			for _, file := range []string{"secret.txt", "docs/a.md", "docs/keep.md", "docs/b.txt", "junk", "with space/ä.txt"} {
				r.write(file, "content of "+file)
			}
			r.commit("v1")
			r.write("docs/b.txt", "changed, but not committed")
			r.push().ok()
			for file, want := range map[string]bool{"secret.txt": false, "docs/a.md": false, "docs/keep.md": true, "docs/b.txt": true, "junk": false, "with+space/%C3%A4.txt": true} {
				status, body := r.w.get(name+".localhost", "/file?path=/app/"+file)
				require.Equal(t, want, status == http.StatusOK, "%s: %s", file, body)
			}
			_, body := r.w.get(name+".localhost", "/file?path=/app/docs/b.txt")
			require.Equal(t, "content of docs/b.txt", body)
		})
	}
}

// The daemon may end while somebody pushes: they are told, and it goes on when it is back.
func TestDeploy_DaemonEndsMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.write("Dockerfile", hello("START_DELAY=3s"))
	live := func(version string) {
		w.start()
		w.eventually(40*time.Second, version+" is live", func() bool {
			_, body := w.get("hello.localhost", "/")
			return strings.TrimSpace(body) == version
		})
	}
	r.commit("waited for") // an orderly end waits for what is under way
	push := r.begin()
	push.until("Starting web.1")
	w.kill(syscall.SIGTERM)
	out := push.end()
	out.ok()
	out.says(" !     octohost is shutting down: this may go on for 1m0s.")
	live("waited for")

	r.commit("killed")
	push = r.begin()
	push.until("Starting web.1")
	w.kill(syscall.SIGKILL)
	push.end().fails()
	live("killed")
	r.push().ok() // once more, since git was told nothing
	r.write("Dockerfile", hello())
	r.deploy("again")
}

// Why a release failed can be read later, too.
func TestDeploy_FailureIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.impatient("LISTEN=127.0.0.1:5000", "LOG=here I am")
	r.rejected("v2")
	info := w.octo("releases:info", "v2", "-a", "hello")
	info.ok()
	for _, text := range []string{"failed", "web listens on port 5000 of 127.0.0.1 only", "listen on 0.0.0.0:5000 instead", "connection refused", "here I am"} {
		require.Contains(t, info.out, text)
	}
	var releases []octo.Release
	w.json(&releases, "releases", "-a", "hello")
	require.Equal(t, octo.FailedLoopback, releases[0].Failure.Kind)
	require.Equal(t, octo.Failed, releases[0].Outcome)
	require.Contains(t, w.octo("events", "hello").ok(), "release.failed")

	out := w.octo("rollback", "v2", "-a", "hello")
	require.Equal(t, 1, out.code)
	out.says("error: v2 never was live", "hint:  see which were: octo releases -a hello")
	out = w.octo("rollback", "-a", "hello")
	require.Equal(t, 3, out.code)
	out.says("error: hello has no earlier live release to go back to")
	r.stillServes("v1")
}

// The branch that deploys can be another one.
func TestDeploy_ChosenBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	require.Equal(t, "hello deploys staging\n", w.octo("apps:branch", "staging", "-a", "hello").ok())
	r.commit("v2")
	out := r.push()
	require.Equal(t, 1, out.code)
	out.says(" ! [remote rejected] main -> main (only staging deploys; to deploy this commit: git push octo HEAD:staging)")
	r.stillServes("v1")
	r.git("push", "octo", "HEAD:staging").ok()
	r.stillServes("v2")
	require.Equal(t, 2, w.octo("apps:branch", "-x", "-a", "hello").code)
	require.Equal(t, "hello deploys main or master\n", w.octo("apps", "branch", "default", "-a", "hello").ok())
	r.deploy("v3")
}

// Processes besides web run, are listed and log; what has no web has no site.
func TestDeploy_Processes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.write("Procfile", "web: /testapp\nworker: /testapp sleep 1h\n")
	r.write("octohost.toml", "[processes.web]\ncount = 2\n\n[processes.worker]\ncount = 2\ngrace = \"1s\"\n")
	r.deploy("v1")
	var instances []octo.Instance
	w.json(&instances, "ps", "hello")
	names := map[string]bool{}
	for _, i := range instances {
		require.Equal(t, octo.PhaseHealthy, i.Phase)
		names[i.ShortName()] = true
	}
	require.Equal(t, map[string]bool{"web.1": true, "web.2": true, "worker.1": true, "worker.2": true}, names)
	var app octo.AppStatus
	w.json(&app, "apps:info", "hello")
	require.Equal(t, 4, app.Healthy)

	visitors := w.visit("hello.localhost", nil) // one of two may go at any time, and be missed by nobody
	r.commit("v2")
	r.push().ok()
	_, misses, lost := visitors.stop()
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))

	r.write("Procfile", "worker: /testapp sleep 1h\n")
	r.write("octohost.toml", "[processes.worker]\ncount = 1\ngrace = \"1s\"\n")
	r.commit("v3")
	out := r.push()
	out.ok()
	require.Contains(t, out.err, "=====> hello v3 live (it has no web process)")
	status, _ := w.get("hello.localhost", "/")
	require.Contains(t, []int{http.StatusNotFound, http.StatusServiceUnavailable}, status)
	w.eventually(40*time.Second, "only the worker is left", func() bool { return len(w.containers("hello")) == 1 })
}
