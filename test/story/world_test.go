// Package story tests octohost as its users meet it: the real program, real git
// over real SSH, a real container engine.
package story_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
)

// world is one octohost with a data directory, ports and a key of its own. Nothing
// of it is left when the test ends.
type world struct {
	t      *testing.T
	dir    string
	http   string // host:port of the proxy
	ssh    string // host:port of the SSH door
	domain string // apps are below it; empty: localhost
	engine string // address of the container engine
	env    []string
	person []string // more of the environment of those who type commands
	admit  string   // file of the keys that are admitted at the start; empty: nobody
	wrap   []string // put in front of every command, to run it in a network namespace
	daemon *daemon

	// dial connects to the proxy, which may be in another network namespace; nil: in
	// this one.
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	passing bool // the engine goes away with the test, and all that is in it

	before []string   // put in front of octo serve only
	files  []*os.File // handed over to octo serve, as systemd does
}

// daemon is one run of octo serve.
type daemon struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait, once done
}

// newWorld starts an octohost on the engine of this machine.
func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	w := stillWorld(t, env...)
	w.start()
	return w
}

// stillWorld is newWorld before octo serve was started for the first time.
func stillWorld(t *testing.T, env ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), engine: enginetest.Docker(t), env: env}
	w.http, w.ssh = freeAddress(t), freeAddress(t)
	w.prepare()
	return w
}

// prepare makes the key and sets up the clean-up.
func (w *world) prepare() {
	w.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann@story", "-f", w.path("key")).ok()
	w.admit = w.path("key.pub")
	w.t.Cleanup(w.destroy)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // it was only tried
	return l.Addr().String()
}

// start runs octo serve, and waits until its doors are open.
func (w *world) start(env ...string) {
	w.t.Helper()
	w.launch(env...)
	w.eventually(30*time.Second, "octo serve answers", func() bool { return w.octo("apps").code == 0 })
	w.eventually(10*time.Second, "the SSH door opens", func() bool { return w.ssher("version").code == 0 })
}

// launch runs octo serve without waiting for anything.
func (w *world) launch(env ...string) {
	w.t.Helper()
	log, err := os.OpenFile(w.path("octo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	args := append(append(append([]string{}, w.wrap...), w.before...), octoBinary(w.t), "serve", "--data", w.path("data"),
		"--http", w.http, "--ssh", w.ssh, "--domain", cmp.Or(w.domain, "localhost"))
	if w.admit != "" {
		args = append(args, "--authorize", w.admit)
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // our own program
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, w.files
	cmd.Env = append(append(os.Environ(), "OCTO_ENGINE="+w.engine, "OCTO_LOG_LEVEL=debug", "OCTO_ACCESS_LOG="+w.path("access.log"), "OCTO_CONFIG="+w.config()), append(w.env, env...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	require.NoError(w.t, cmd.Start())
	d := &daemon{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the daemon, which the clean-up kills at the latest
		d.err = cmd.Wait()
		_ = log.Close() // the daemon wrote it
		close(d.done)
	}()
	w.daemon = d
}

// config returns the path of the configuration file, made empty if a test has not
// written one.
func (w *world) config() string {
	path := w.path("octo.toml")
	if _, err := os.Stat(path); err != nil {
		require.NoError(w.t, os.WriteFile(path, nil, 0o600))
	}
	return path
}

// kill sends a signal to the daemon and waits for its end.
func (w *world) kill(signal syscall.Signal) {
	w.t.Helper()
	if w.daemon == nil {
		return
	}
	_ = w.daemon.cmd.Process.Signal(signal) // it may have ended by itself
	w.died()
}

// died waits until the daemon has ended, for whatever reason.
func (w *world) died() {
	w.t.Helper()
	select {
	case <-w.daemon.done:
	case <-time.After(90 * time.Second):
		w.t.Fatalf("octo serve does not end; its log:\n%s", w.log())
	}
}

func (w *world) log() string {
	text, _ := os.ReadFile(w.path("octo.log")) // no log is as good as an empty one
	return string(text[max(0, len(text)-8000):])
}

// destroy removes everything that the world made, also when the daemon is dead.
func (w *world) destroy() {
	if w.t.Failed() {
		w.t.Logf("the end of octo.log:\n%s", w.log())
	}
	if w.daemon != nil {
		_ = w.daemon.cmd.Process.Signal(syscall.SIGKILL) // containers are removed below
		<-w.daemon.done
	}
	if w.passing {
		return
	}
	label := "label=octohost.host=" + w.host()
	for _, c := range [][]string{{"ps", "-aq"}, {"images", "-q"}, {"network", "ls", "-q"}} {
		ids := strings.Fields(w.docker(append(c, "--filter", label)...).out)
		remove := map[string][]string{"ps": {"rm", "-f", "-v"}, "images": {"rmi", "-f"}, "network": {"network", "rm"}}[c[0]]
		if len(ids) > 0 {
			w.docker(append(remove, ids...)...)
		}
	}
}

// host returns the id that this octohost labels its objects with.
func (w *world) host() string {
	id, err := os.ReadFile(w.path("data/id"))
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(id))
}

// result is how a command ended.
type result struct {
	t        *testing.T
	args     []string
	out, err string // what it printed
	code     int
}

// ok fails the test unless the command succeeded, and returns what it printed.
func (r result) ok() string {
	r.t.Helper()
	require.Zero(r.t, r.code, "%s\n%s\n%s", strings.Join(r.args, " "), r.out, r.err)
	return r.out
}

// fails fails the test if the command succeeded, and returns all it printed.
func (r result) fails() string {
	r.t.Helper()
	require.NotZero(r.t, r.code, "%s\n%s\n%s", strings.Join(r.args, " "), r.out, r.err)
	return r.out + r.err
}

// command runs a program; stdin is empty.
func (w *world) command(args ...string) result { return w.commandIn(w.dir, "", args...) }

func (w *world) commandIn(dir, stdin string, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	full := append(append([]string{}, w.wrap...), args...)
	cmd := exec.CommandContext(ctx, full[0], full[1:]...) //nolint:gosec // of the test
	cmd.Dir, cmd.Stdin, cmd.Env = dir, strings.NewReader(stdin), w.environ()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	r := result{t: w.t, args: args}
	if e := cmd.Run(); e != nil {
		r.code = -1
		var exit *exec.ExitError
		if errors.As(e, &exit) {
			r.code = exit.ExitCode()
		} else {
			err.WriteString(e.Error())
		}
	}
	r.out, r.err = out.String(), err.String()
	return r
}

// environ is the environment of a person: a home of their own, and a git that uses
// their key.
func (w *world) environ() []string {
	return append(append(os.Environ(), "HOME="+w.dir, "XDG_CONFIG_HOME="+w.path("config"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=ann", "GIT_AUTHOR_EMAIL=ann@story", "GIT_COMMITTER_NAME=ann", "GIT_COMMITTER_EMAIL=ann@story",
		"GIT_SSH_COMMAND="+strings.Join(w.sshOptions("key"), " "), "OCTO_SOCKET="+w.path("data/octo.sock"), "NO_COLOR=1"), w.person...)
}

func (w *world) sshOptions(key string) []string {
	return []string{
		"ssh", "-F", "/dev/null", "-i", w.path(key), "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + w.path("known_hosts"),
		"-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
	}
}

// octo runs a command over the local socket.
func (w *world) octo(args ...string) result {
	return w.command(append([]string{octoBinary(w.t)}, args...)...)
}

// ssher runs a command over SSH, as ann.
func (w *world) ssher(args ...string) result { return w.sshAs("key", args...) }

func (w *world) sshAs(key string, args ...string) result {
	host, port, err := net.SplitHostPort(w.ssh)
	require.NoError(w.t, err)
	return w.command(append(append(w.sshOptions(key), "-p", port, "octo@"+host), args...)...)
}

func (w *world) docker(args ...string) result {
	return w.command(append([]string{"docker", "--host", w.engine}, args...)...)
}

// json runs a command with --json and decodes what it prints.
func (w *world) json(into any, args ...string) {
	w.t.Helper()
	out := w.octo(append(args, "--json")...).ok()
	require.NoError(w.t, json.Unmarshal([]byte(out), into), "%s", out)
}

// eventually waits until ok, at most for limit.
func (w *world) eventually(limit time.Duration, what string, ok func() bool) {
	w.t.Helper()
	require.Eventually(w.t, ok, limit, 20*time.Millisecond, "%s: never; octo.log:\n%s", what, lazyLog{w})
}

// lazyLog is the daemon's log, read when it is printed.
type lazyLog struct{ w *world }

func (l lazyLog) String() string { return l.w.log() }

func (w *world) gitURL(app string) string { return fmt.Sprintf("ssh://octo@%s/%s", w.ssh, app) }
