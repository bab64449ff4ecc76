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

// rebootWorld is a machine with a few apps, one of which has several copies and a
// worker.
func rebootWorld(t *testing.T) (m *machine, w *world, apps []string) {
	t.Helper()
	m = newMachine(t)
	w = m.world()
	apps = appNames(5)
	w.fleet(apps...)
	r := w.repo("many")
	r.write("octohost.toml", "[processes.web]\ncount = 3\n\n[processes.worker]\ncommand = [\"/testapp\"]\ncount = 1\n")
	r.deploy("many")
	return m, w, append(apps, "many")
}

// crash ends everything in one moment, as when the power fails.
func (m *machine) crash(w *world) {
	m.t.Helper()
	require.NoError(m.t, w.daemon.cmd.Process.Signal(syscall.SIGKILL))
	m.reboot()
	w.died()
}

// whole waits until every app serves its own page and has every copy, and returns
// how long that took.
func (w *world) whole(domain string, apps ...string) time.Duration {
	w.t.Helper()
	began := time.Now()
	for _, app := range apps {
		var body string
		w.eventually(backWithin, app+" serves", func() bool {
			var status int
			status, body = w.get(app+"."+domain, "/")
			return status == http.StatusOK
		})
		require.Equal(w.t, app, strings.TrimSpace(body), "another app answered")
	}
	var all []octo.AppStatus
	w.eventually(backWithin, "every copy is healthy", func() bool {
		all = nil
		w.json(&all, "apps")
		for _, a := range all {
			if a.State != octo.StateUp || a.Healthy != a.Instances {
				return false
			}
		}
		return true
	})
	require.Len(w.t, all, len(apps))
	took := time.Since(began)
	running := w.docker("ps", "-q", "--filter", "label=octohost.host="+w.host()).ok()
	existing := w.docker("ps", "-aq", "--filter", "label=octohost.host="+w.host()).ok()
	require.Equal(w.t, existing, running, "there are containers that do not run")
	require.Len(w.t, strings.Fields(running), len(apps)+3, "three copies and a worker of one app, one of each other")
	return took
}

// After a power cut everything is back, with no help, whoever starts first.
func TestReboot_EverythingIsBack(t *testing.T) {
	t.Parallel()
	m, w, apps := rebootWorld(t)

	m.crash(w)
	m.startEngine()
	w.start()
	t.Logf("engine first: all served %s after octo", w.whole("localhost", apps...).Round(10*time.Millisecond))

	m.crash(w)
	w.launch()
	var body string
	w.eventually(30*time.Second, "octo says that it has no engine", func() bool {
		var status int
		status, body = w.get("many.localhost", "/")
		return status == http.StatusServiceUnavailable
	})
	require.Contains(t, body, "503")
	w.eventually(20*time.Second, "the doctor says so too", func() bool {
		return strings.Contains(w.octo("doctor").out, "no Docker Engine answers")
	})
	late := time.NewTimer(10 * time.Second) // the engine takes its time
	<-late.C
	m.startEngine()
	t.Logf("octo first, the engine ten seconds later: all served %s after the engine", w.whole("localhost", apps...).Round(10*time.Millisecond))
	require.Contains(t, w.octo("doctor").out, "Docker 2")
	r := w.repo("again")
	r.deploy("again")
}

// A machine that comes back under another address, domain and host name serves the
// same apps, and takes pushes.
func TestReboot_UnderAnotherAddressAndName(t *testing.T) {
	t.Parallel()
	m, w, apps := rebootWorld(t)
	m.crash(w)
	w.command("ip", "address", "add", "192.0.2.7/24", "dev", "lo").ok()
	w.http, w.ssh, w.domain = "192.0.2.7:8081", "192.0.2.7:2223", "example.test"
	w.before = []string{"unshare", "--uts", "sh", "-c", `hostname elsewhere; exec "$@"`, "sh"}
	m.startEngine()
	w.start()
	t.Logf("all served %s after octo", w.whole("example.test", apps...).Round(10*time.Millisecond))
	status, _ := w.get("many.localhost", "/")
	require.Equal(t, http.StatusNotFound, status, "the old name is nobody's")
	r := w.repo("new")
	r.push().ok()
	status, body := w.get("new.example.test", "/")
	require.Equal(t, http.StatusOK, status, body)
}
