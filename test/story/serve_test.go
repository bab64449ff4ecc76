package story_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// refusesToStart runs octo serve, which must end by itself, and returns what it says.
func (w *world) refusesToStart(env ...string) string {
	w.t.Helper()
	before := len(w.log())
	w.launch(env...)
	w.died()
	require.NotZero(w.t, w.daemon.cmd.ProcessState.ExitCode())
	return w.log()[before:]
}

// What an operator got wrong is said in a sentence, and nothing is half-started.
func TestServe_MistakesOfTheOperator(t *testing.T) {
	t.Parallel()
	w := stillWorld(t)
	for _, c := range []struct{ config, says string }{
		{"htpp = \":80\"\n", "error: octo.toml:1: unknown key \"htpp\"\nhint:  did you mean \"http\"?\n"},
		{"[git]\n\nmax_psuh = \"1M\"\n", "error: octo.toml:3: unknown key \"max_psuh\" in [git]\nhint:  did you mean \"max_push\"?\n"},
		{"domain = example.org\n", "error: octo.toml:1:10: "},
		{"disk_floor = \"lots\"\n", "error: octo.toml:1:15: \"lots\" is not a size; write for example 512M or 2GiB\n"},
		{"keep_releases = \"five\"\n", "error: octo.toml:1: keep_releases is text in quotes, it must be a whole number\n"},
		{"log_level = \"loud\"\n", "error: log_level is \"loud\"\nhint:  it may be debug, info, warn or error\n"},
		{"[build]\nbuilder = \"kaniko\"\n", "error: build.builder is \"kaniko\"\nhint:  it may be auto, classic or buildkit\n"},
	} {
		require.NoError(t, os.WriteFile(w.path("octo.toml"), []byte(c.config), 0o600))
		require.Contains(t, w.refusesToStart("OCTO_LOG_LEVEL="), c.says, c.config)
	}
	require.NoFileExists(t, w.path("data/octo.db"))
	require.NoError(t, os.WriteFile(w.path("octo.toml"), nil, 0o600))
	require.Contains(t, w.refusesToStart("OCTO_CONFIG=/no/such/file"), "error: cannot read the configuration: open /no/such/file: no such file or directory\n")

	w.admit = w.path("nobody.pub")
	require.Contains(t, w.refusesToStart(), "hint:  name a file of public keys with --authorize, for example ~/.ssh/id_ed25519.pub\n")
	require.NoError(t, os.WriteFile(w.admit, []byte("# none yet\n"), 0o600))
	require.Contains(t, w.refusesToStart(), "error: "+w.admit+" has no key in it\n")
	w.newKey("unnamed")
	public, err := os.ReadFile(w.path("unnamed.pub"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(w.admit, []byte("# mine\n"+strings.Join(strings.Fields(string(public))[:2], " ")+"\n"), 0o600))
	require.Contains(t, w.refusesToStart(), "error: "+w.admit+": line 2: the key does not tell whose it is: its comment is \"\", not NAME@MACHINE\n"+
		"hint:  write ann@laptop behind the key, or admit it by hand: octo keys:add FILE --user ann\n")
	w.admit = w.path("key.pub")
	w.start() // and all is well
}

func TestServe_PortsInUse(t *testing.T) {
	t.Parallel()
	w := stillWorld(t)
	for what, addr := range map[string]string{"http": w.http, "ssh": w.ssh} {
		taken, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		said := w.refusesToStart()
		require.Contains(t, said, "error: "+what+": "+addr+" is in use by another program\n")
		require.Contains(t, said, "hint:  see which with: ss -ltnp; or choose another address with --"+what+"\n")
		require.NoError(t, taken.Close())
	}
	w.start()
	out := w.with(t).command(octoBinary(t), "serve", "--data", w.path("data"), "--http", freeAddress(t), "--ssh", freeAddress(t)) // a second one
	require.Equal(t, 1, out.code)
	require.Contains(t, out.err, "error: ")
	require.Contains(t, out.err, w.path("data"))
	require.Zero(t, w.octo("apps").code, "the first one goes on")
}

// Without a container engine octohost starts, says so, and keeps what it knows.
func TestServe_NoDocker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	before := w.containers("hello")
	w.kill(syscall.SIGTERM)

	gone := w.with(t)
	gone.engine = "unix:///nonexistent/docker.sock"
	require.NoError(t, os.Mkdir(w.path("bin"), 0o700)) // a machine on which dockerd is not installed
	for _, program := range []string{"git", "true"} {
		path, err := exec.LookPath(program)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, w.path("bin/"+program)))
	}
	gone.launch("PATH=" + w.path("bin"))
	w.daemon = gone.daemon
	w.eventually(30*time.Second, "octo serve answers", func() bool { return w.octo("apps").code == 0 })
	doctor := w.octo("doctor")
	require.Equal(t, 1, doctor.code)
	doctor.says("✗ engine     no Docker Engine answers at unix:///nonexistent/docker.sock", "             → install it with: apt install docker.io")
	var apps []octo.AppStatus
	w.json(&apps, "apps")
	require.Len(t, apps, 1, "the sites are remembered")
	require.Equal(t, "http://hello.localhost:"+strings.Split(w.http, ":")[1], apps[0].URL)

	w.eventually(30*time.Second, "visitors are told", func() bool {
		status, body := w.get("hello.localhost", "/")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "request id: ")
	})
	status, _ := w.get("other.localhost", "/")
	require.Equal(t, http.StatusNotFound, status)

	r.commit("v2")
	out := r.push()
	out.fails()
	out.says(" !     no Docker Engine answers at unix:///nonexistent/docker.sock", "       install it with: apt install docker.io",
		" ! [remote rejected] main -> main (deploy failed: no Docker Engine answers at unix:///nonexistent/docker.sock)")
	out.says(" !     v1 stays, but nothing of it is healthy at the moment (see: octo ps -a hello).")

	w.kill(syscall.SIGTERM)
	w.start()
	r.stillServes("v1")
	require.Equal(t, before, w.containers("hello"))
	r.deploy("v3")
}

// A restart of octo serve is nobody's business: no container is touched, no release
// made, nothing told again.
func TestServe_RestartFiresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.deploy("v2")
	w.repo("failing", "EXIT_CODE=1").push().fails()
	w.octo("apps:create", "empty").ok()
	w.eventually(40*time.Second, "everything has settled", func() bool {
		return len(w.containers("hello")) == 1 && len(w.containers("failing")) == 0
	})
	look := func() string {
		started := w.docker(append([]string{"inspect", "-f", "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}"}, w.containers("hello")...)...).ok()
		return started + w.octo("releases", "-a", "hello", "--json").ok() + w.octo("events", "--json").ok() + w.octo("keys", "--json").ok()
	}
	before := look()
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		w.kill(how)
		w.start()
		r.stillServes("v2")
		require.Equal(t, before, look(), "after %v", how)
	}
}
