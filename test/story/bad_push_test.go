package story_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// impatient is an octohost.toml that does not wait long for what never comes.
const impatient = "[deploy]\nhealth_timeout = \"1500ms\"\n"

// badPush is a mistake that somebody pushes, and what they then read, line by line.
// COMMIT stands for the commit, and vN for the release.
type badPush struct {
	name   string
	change func(r *repo)
	says   []string
	reason string // behind [remote rejected]
}

// refused are found out before anything is released.
func refused() []badPush {
	return []badPush{
		{
			"no-dockerfile", func(r *repo) { r.remove("Dockerfile") },
			[]string{
				" !     commit COMMIT has no Dockerfile",
				`       add a Dockerfile at the root of the repository, or name it in octohost.toml: [build] dockerfile = "path"; then commit and push again`,
			},
			"commit COMMIT has no Dockerfile",
		},
		{
			"other-dockerfile", func(r *repo) { r.write("octohost.toml", "[build]\ndockerfile = \"docker/Dockerfile\"\n") },
			[]string{" !     commit COMMIT has no docker/Dockerfile"},
			"commit COMMIT has no docker/Dockerfile",
		},
		{
			"no-command", func(r *repo) { r.write("Dockerfile", "FROM scratch\nCOPY testapp /testapp\n") },
			[]string{
				" !     the image says no command for web",
				`       add CMD ["/path/of/program"] to the Dockerfile, or a line "web: command" to the Procfile`,
			},
			"the image says no command for web",
		},
		{
			"toml-typo", func(r *repo) { r.write("octohost.toml", "[deploy]\nmemory = \"64m\"\nhealth_timout = \"2s\"\n") },
			[]string{` !     octohost.toml:3: unknown key "health_timout" in [deploy]`, `       did you mean "health_timeout"?`},
			`octohost.toml:3: unknown key "health_timout" in [deploy]`,
		},
		{
			"toml-garbage", func(r *repo) { r.write("octohost.toml", "# ours\n\nweb = [garbage\n") },
			[]string{` !     octohost.toml:3:8: expected value but found "garbage" instead`},
			`octohost.toml:3:8: expected value but found "garbage" instead`,
		},
		{
			"procfile", func(r *repo) { r.write("Procfile", "web: /testapp\nworker\n") },
			[]string{` !     Procfile:2: this is not "name: command": "worker"`},
			`Procfile:2: this is not "name: command": "worker"`,
		},
		{
			"submodule", func(r *repo) {
				r.write(".gitmodules", "[submodule \"theme\"]\n\tpath = theme\n\turl = https://example.org/theme\n")
				require.NoError(r.w.t, os.Mkdir(filepath.Join(r.dir, "theme"), 0o755))
				r.git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",theme").ok()
			},
			[]string{
				" !     this repository has submodules (theme), which a push does not contain",
				"       commit their files (git subtree), or fetch them in the Dockerfile",
			},
			"this repository has submodules (theme), which a push does not contain",
		},
	}
}

// failing are found out when they run.
func failing() []badPush {
	return []badPush{
		{
			"not-found", func(r *repo) { r.write("Dockerfile", "FROM scratch\nCOPY testapp /testapp\nCMD [\"/other\"]\n") },
			[]string{
				" !     vN failed: web exited with code 127 after N s (N starts in a row ended)",
				"       the command was not found or cannot be executed: check CMD in the Dockerfile, or the Procfile",
			},
			"vN failed: web exited with code 127 after N s (N starts in a row ended)",
		},
		{
			"exits", func(r *repo) { r.write("Dockerfile", hello("EXIT_CODE=3", "LOG=!reading the settings|!no database")) },
			[]string{
				" !     vN failed: web exited with code 3 after N s (N starts in a row ended)",
				"       its last lines may say why; try the same image with: docker run",
				"       Last lines of its log:",
				"         reading the settings",
				"         no database",
			},
			"vN failed: web exited with code 3 after N s (N starts in a row ended)",
		},
		{
			"exits-well", func(r *repo) { r.write("Dockerfile", hello("EXIT_CODE=0")) },
			[]string{
				" !     vN failed: web exited with code 0 after N s (N starts in a row ended)",
				"       a process has to go on running: start the server in the foreground",
			},
			"vN failed: web exited with code 0 after N s (N starts in a row ended)",
		},
		{
			"no-port", func(r *repo) { r.impatient("LISTEN=none") },
			[]string{
				" !     vN failed: web listens on no port after N s",
				"       listen on 0.0.0.0 and the port in $PORT (5000)",
				"       Health check:",
				"         N s … N s: connection refused (N times)",
			},
			"vN failed: web listens on no port after N s",
		},
		{
			"loopback", func(r *repo) { r.impatient("LISTEN=127.0.0.1:5000") },
			[]string{
				" !     vN failed: web listens on port 5000 of 127.0.0.1 only, where nothing outside its container can reach it",
				"       listen on 0.0.0.0:5000 instead",
				"       Last lines of its log:",
				"         listening on 127.0.0.1:5000",
			},
			"vN failed: web listens on port 5000 of 127.0.0.1 only, where nothing outside its container can reach it",
		},
		{
			"wrong-port", func(r *repo) { r.impatient("LISTEN=:4000") },
			[]string{
				" !     vN failed: web listens on port 4000, but port 5000 is expected",
				"       listen on 0.0.0.0 and the port in $PORT (5000), or EXPOSE the other port in the Dockerfile",
			},
			"vN failed: web listens on port 4000, but port 5000 is expected",
		},
		{
			"answers-500", func(r *repo) { r.impatient("STATUS=500") },
			[]string{
				" !     vN failed: GET / still answered 500 after N s",
				"       any answer below 500 is good; set [deploy] health_path to check another path",
			},
			"vN failed: GET / still answered 500 after N s",
		},
		{
			"out-of-memory", func(r *repo) {
				r.write("Dockerfile", hello("OOM=1"))
				r.write("octohost.toml", "[deploy]\nmemory = \"32m\"\n")
			},
			[]string{
				" !     vN failed: web was killed by the kernel after N s: it used more memory than its limit of 32 MB",
				"       let it use less, or raise its limit: octo limits:set web memory=…",
			},
			"vN failed: web was killed by the kernel after N s: it used more memory than its limit of 32 MB",
		},
	}
}

// Whatever somebody pushes, they read what is wrong and what to do, git says that the
// push was rejected, and what served before still does.
func TestBadPush_IsExplainedAndRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for app, list := range map[string][]badPush{"refused": refused(), "failing": failing()} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			r := w.with(t).repo(app)
			r.deploy("v1")
			for _, bad := range list {
				t.Run(bad.name, func(t *testing.T) { r.in(t).makes(bad) })
			}
		})
	}
}

// makes makes a mistake, and takes it back.
func (r *repo) makes(bad badPush) {
	r.w.t.Helper()
	bad.change(r)
	out := r.rejected(bad.name)
	defer func() { r.git("reset", "-q", "--hard", "HEAD~1").ok() }()
	lines := append(bad.says, " !     v1 is still serving.", " ! [remote rejected] main -> main (deploy failed: "+bad.reason+")")
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "COMMIT", r.head())
	}
	out.says(lines...)
	r.stillServes("v1")
}

// What the builder says is the engine's to word; it must be there, with the step.
func TestBadPush_BuildFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	for _, c := range []struct {
		name, dockerfile string
		says             []string
	}{
		{"syntax", "FROM scratch\nCOPPY testapp /testapp\n", []string{"unknown instruction: COPPY", "line 2"}},
		{
			"run", "FROM scratch\nCOPY testapp /testapp\nRUN [\"/testapp\", \"cat\", \"/no/such/file\"]\nCMD [\"/testapp\"]\n",
			[]string{"/no/such/file: no such file or directory", `RUN ["/testapp", "cat", "/no/such/file"]`},
		},
		{"copy", "FROM scratch\nCOPY missing /testapp\nCMD [\"/testapp\"]\n", []string{"COPY missing /testapp"}},
		{"from", "FROM registry.invalid/nothing:1\nCMD [\"/testapp\"]\n", []string{"registry.invalid"}},
		{"empty", "", []string{"Dockerfile"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := r.in(t)
			r.write("Dockerfile", c.dockerfile)
			out := r.rejected(c.name)
			out.says("-----> Building hello from Dockerfile (commit "+r.head()+")", " !     v1 is still serving.")
			for _, text := range c.says {
				require.Contains(t, plain(out.err), text)
			}
			r.stillServes("v1")
			r.git("reset", "-q", "--hard", "HEAD~1").ok()
		})
	}
}

// A first push that fails leaves an app that waits for a better one.
func TestBadPush_FirstOfAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "EXIT_CODE=1")
	out := r.push()
	out.fails()
	out.says("-----> Creating app hello", " !     vN failed: web exited with code 1 after N s (N starts in a row ended)",
		" !     Nothing was deployed before, so nothing is serving.")
	status, body := w.get("hello.localhost", "/")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "The app has no healthy instance at the moment.")
	w.eventually(20*time.Second, "what failed goes", func() bool { return len(w.containers("hello")) == 0 })

	r.write("Dockerfile", hello())
	r.deploy("better")
}

// These are no mistakes, but worth a note.
func TestPush_LiveWithANote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		app    string
		change func(r *repo)
		note   string
		status int
	}{
		{
			"redirects", func(r *repo) { r.write("Dockerfile", hello("REDIRECT_HTTPS=1")) },
			"       web.1 is healthy: GET / answered 301, a redirect to https: counted as healthy, any answer below 500 is; set [deploy] health_path to check another",
			http.StatusMovedPermanently,
		},
		{
			"not-found", func(r *repo) { r.write("Dockerfile", hello("STATUS=404")) },
			"       web.1 is healthy: GET / answered 404: counted as healthy, any answer below 500 is; set [deploy] health_path to check another",
			http.StatusNotFound,
		},
		{
			"health-path", func(r *repo) {
				r.write("Dockerfile", hello("STATUS=500"))
				r.write("octohost.toml", "[deploy]\nhealth_path = \"/health\"\n")
			},
			"       web.1 is healthy",
			http.StatusInternalServerError,
		},
		{
			"two-ports", func(r *repo) { r.write("Dockerfile", hello()+"EXPOSE 9000\n") },
			"       The image exposes ports 5000, 9000: using 5000. To choose another, write port = N below [deploy] in octohost.toml.",
			http.StatusOK,
		},
		{
			"other-port", func(r *repo) {
				r.write("Dockerfile", hello()+"EXPOSE 9000\n")
				r.write("octohost.toml", "[deploy]\nport = 9000\n")
			},
			"       Starting web.1, waiting for port 9000",
			http.StatusOK,
		},
	} {
		t.Run(c.app, func(t *testing.T) {
			t.Parallel()
			r := w.with(t).repo(c.app)
			c.change(r)
			r.commit("v1")
			out := r.push()
			out.ok()
			out.says(c.note)
			status, _ := r.w.get(c.app+".localhost", "/")
			require.Equal(t, c.status, status)
		})
	}
}

// in returns the repository for a subtest.
func (r *repo) in(t *testing.T) *repo {
	c := *r
	c.w = r.w.with(t)
	return &c
}

// remove takes a file out of the repository.
func (r *repo) remove(name string) {
	r.w.t.Helper()
	require.NoError(r.w.t, os.Remove(filepath.Join(r.dir, name)))
}

// impatient makes the next release behave as env says, and its check short.
func (r *repo) impatient(env ...string) {
	r.w.t.Helper()
	r.write("Dockerfile", hello(env...))
	r.write("octohost.toml", impatient)
}

// head is the short name of the last commit.
func (r *repo) head() string { return strings.TrimSpace(r.git("rev-parse", "HEAD").ok())[:7] }

// rejected commits and pushes a version that must be refused.
func (r *repo) rejected(version string) result {
	r.w.t.Helper()
	r.commit(version)
	out := r.push()
	require.Equal(r.w.t, 1, out.code, "%s", out.err)
	require.Contains(r.w.t, out.err, "! [remote rejected] main -> main (")
	return out
}

// stillServes checks that a version is served by the only release that is live, and
// that nothing else is left running.
func (r *repo) stillServes(version string) {
	r.w.t.Helper()
	status, body := r.w.get(r.app+".localhost", "/")
	require.Equal(r.w.t, http.StatusOK, status)
	require.Equal(r.w.t, version, strings.TrimSpace(body))
	var app octo.AppStatus
	r.w.json(&app, "apps:info", r.app)
	require.Equal(r.w.t, octo.StateUp, app.State)
	r.w.eventually(20*time.Second, "only the live release runs", func() bool { return len(r.w.containers(r.app)) == 1 })
}
