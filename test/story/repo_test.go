package story_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
)

// repo is somebody's repository of an app.
type repo struct {
	w   *world
	app string
	dir string
}

// hello is the Dockerfile of the test program, with variables that tell it how to
// behave (package webapp).
func hello(env ...string) string {
	lines := []string{"FROM scratch", "COPY testapp /testapp", "COPY version.txt /version.txt"}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		lines = append(lines, "ENV "+name+"=\""+value+"\"")
	}
	return strings.Join(append(lines, "EXPOSE 5000", `CMD ["/testapp"]`), "\n") + "\n"
}

// repo makes a repository with the test program in it.
func (w *world) repo(app string, env ...string) *repo {
	w.t.Helper()
	r := &repo{w: w, app: app, dir: w.path("src-" + app)}
	require.NoError(w.t, os.MkdirAll(r.dir, 0o755))
	r.git("init", "-q", "-b", "main").ok()
	r.git("remote", "add", "octo", w.gitURL(app)).ok()
	program, err := os.ReadFile(enginetest.Binary(w.t))
	require.NoError(w.t, err)
	r.write("testapp", string(program))
	require.NoError(w.t, os.Chmod(filepath.Join(r.dir, "testapp"), 0o755)) //nolint:gosec // a program
	r.write("Dockerfile", hello(env...))
	r.commit("v1")
	return r
}

func (r *repo) git(args ...string) result {
	return r.w.commandIn(r.dir, "", append([]string{"git"}, args...)...)
}

func (r *repo) write(name, text string) {
	r.w.t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(r.w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.w.t, os.WriteFile(path, []byte(text), 0o644)) //nolint:gosec // a test's
}

// commit commits everything; version is what the site then answers.
func (r *repo) commit(version string) {
	r.w.t.Helper()
	r.write("version.txt", version)
	r.git("add", "-A").ok()
	r.git("commit", "-q", "--allow-empty", "-m", version).ok()
}

// push pushes main.
func (r *repo) push() result { return r.git("push", "octo", "main") }

// deploy commits and pushes a version, and checks that it is served.
func (r *repo) deploy(version string) string {
	r.w.t.Helper()
	r.commit(version)
	res := r.push()
	res.ok()
	status, body := r.w.get(r.app+".localhost", "/")
	require.Equal(r.w.t, http.StatusOK, status, body)
	require.Equal(r.w.t, version, strings.TrimSpace(body))
	return res.err
}

// get requests a page through the proxy.
func (w *world) get(host, path string) (status int, body string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+w.http+path, nil)
	require.NoError(w.t, err)
	req.Host = host
	client := &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// containers returns the ids of an app's containers.
func (w *world) containers(app string) []string {
	return strings.Fields(w.docker("ps", "-aq", "--filter", "label=octohost.host="+w.host(), "--filter", "label=octohost.app="+app).out)
}

// inFlight counts the connections to an app's containers that are established.
func (w *world) inFlight(app string) int {
	n := 0
	for _, id := range w.containers(app) {
		ip := strings.TrimSpace(w.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id).out)
		n += strings.Count(w.command("ss", "-Htn", "dst", ip).out, "ESTAB")
	}
	return n
}
