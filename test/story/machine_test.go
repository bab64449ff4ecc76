package story_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// machine is one more host inside of this one: a network namespace with a container
// engine of its own, which a test may stop, kill and unplug as it likes. The engine
// of this machine is not touched.
type machine struct {
	t      *testing.T
	name   string // of the network namespace, and of the control group of all that runs
	dir    string // all that the engine writes; in run what a reboot would wipe
	disk   string // where its images and octo's data are: in dir, or a file system of its own
	engine *daemon
	keeper io.Writer
	said   *bufio.Reader // by the keeper
}

// keeper makes and unmakes a machine. It is a process of its own, so that it removes
// everything as soon as the test has ended, however it ended.
const keeper = `set -eu
name=$1 dir=$2 group=$3
members() { find /sys/fs/cgroup -path "*/$name/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u; }
groups() { find /sys/fs/cgroup -depth -type d \( -name "$name" -o -path "*/$name/*" \) 2>/dev/null; }
again() { for _ in $(seq 200); do if "$@"; then return; fi; sleep 0.05; done; echo "cannot: $*" >&2; exit 1; }
killed() { ids=$(members); [ -z "$ids" ] || { kill -KILL $ids 2>/dev/null; false; }; }
ungrouped() { groups | xargs -r rmdir 2>/dev/null || true; [ -z "$(groups)" ]; }
on() {
  mkdir -p "$group" "$dir/run"
  ip netns add "$name"
  nsenter --net="/run/netns/$name" ip link set lo up
}
off() {
  again killed
  tac /proc/mounts | while read -r _ at _; do case $at in "$dir"/*) umount -l "$at" 2>/dev/null || true ;; esac; done
  again ungrouped
  [ ! -e "/run/netns/$name" ] || ip netns del "$name"
  rm -rf "$dir/run"
}
while read -r order; do "$order"; echo "$order"; done
off
rm -rf "$dir"
`

// newMachine starts a machine with a running engine.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := newDeadMachine(t)
	m.startEngine()
	return m
}

// newDeadMachine is newMachine without an engine yet.
func newDeadMachine(t *testing.T) *machine {
	t.Helper()
	needRoot(t)
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails, by crypto/rand
	dir, err := os.MkdirTemp("", "octo-story-machine-")
	require.NoError(t, err)
	m := &machine{t: t, name: "octo-story-" + hex.EncodeToString(id[:]), dir: dir, disk: dir}
	m.keep()
	m.order("on")
	return m
}

// needRoot skips what only root can do, and only with the engine's own programs.
func needRoot(t *testing.T) {
	t.Helper()
	missing := ""
	for _, program := range []string{"dockerd", "nsenter", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = program + " is not here"
		}
	}
	if os.Getuid() != 0 {
		missing = "only root can make a network namespace"
	}
	switch {
	case testing.Short():
		t.Skip("a machine of its own takes a while")
	case missing != "" && os.Getenv("OCTO_TEST_REQUIRE") == "1":
		t.Fatal(missing)
	case missing != "":
		t.Skip(missing)
	}
}

// keep starts the keeper, and lets it go at the end of the test.
func (m *machine) keep() {
	cmd := exec.Command("bash", "-c", keeper, "keeper", m.name, m.dir, m.group())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(m.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(m.t, err)
	require.NoError(m.t, cmd.Start())
	m.keeper, m.said = in, bufio.NewReader(out)
	m.t.Cleanup(func() {
		if m.t.Failed() {
			log, _ := os.ReadFile(m.path("dockerd.log")) // no log is as good as an empty one
			m.t.Logf("the end of dockerd.log:\n%s", log[max(0, len(log)-4000):])
		}
		require.NoError(m.t, in.Close())
		require.NoError(m.t, cmd.Wait(), "the keeper could not remove the machine")
	})
}

// order lets the keeper do something, and waits until it is done.
func (m *machine) order(what string) {
	m.t.Helper()
	_, err := io.WriteString(m.keeper, what+"\n")
	require.NoError(m.t, err)
	line, err := m.said.ReadString('\n')
	require.NoError(m.t, err, "the keeper did not do: %s", what)
	require.Equal(m.t, what+"\n", line)
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// group is the control group of the engine. Containers are in groups beside it.
func (m *machine) group() string {
	root := "/sys/fs/cgroup/pids"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root = "/sys/fs/cgroup"
	}
	return filepath.Join(root, m.name, "engine")
}

// run starts a program of the machine's own.
func (m *machine) run(args ...string) *daemon {
	m.t.Helper()
	log, err := os.OpenFile(m.path(filepath.Base(args[0])+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(m.t, err)
	const enter = `echo $$ >"$1/cgroup.procs"; shift; exec "$@"`
	full := append(append([]string{"-c", enter, "sh", m.group()}, m.wrap()...), args...)
	cmd := exec.Command("sh", full...) //nolint:gosec // of the test
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	legacy, err := filepath.Abs("../../.cache/iptables-legacy") // is there where setup.sh found that only that one works
	require.NoError(m.t, err)
	cmd.Env = append(os.Environ(), "PATH="+legacy+":"+os.Getenv("PATH"))
	require.NoError(m.t, cmd.Start())
	d := &daemon{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the program, which the keeper kills at the latest
		d.err = cmd.Wait()
		_ = log.Close() // the program wrote it
		close(d.done)
	}()
	return d
}

// wrap is what to put in front of a command to run it on the machine.
func (m *machine) wrap() []string { return []string{"nsenter", "--net=" + m.namespace()} }

func (m *machine) namespace() string { return "/run/netns/" + m.name }

// launchEngine starts dockerd, without waiting for anything.
func (m *machine) launchEngine() {
	m.t.Helper()
	args := []string{
		"dockerd", "--config-file", m.path("daemon.json"), "--data-root", filepath.Join(m.disk, "docker"), "--exec-root", m.path("run"),
		"--pidfile", m.path("run/docker.pid"), "--host", m.address(),
		"--cgroup-parent", "/" + m.name, "--exec-opt", "native.cgroupdriver=cgroupfs",
	}
	require.NoError(m.t, os.WriteFile(m.path("daemon.json"), []byte("{}"), 0o600)) // and not this machine's
	// dockerd would join a containerd that is a service of this machine.
	if _, err := os.Lstat("/run/containerd/containerd.sock"); err == nil {
		args = append(args, "--containerd", m.startContainerd())
	}
	m.awaitBurial()
	m.engine = m.run(args...)
}

// awaitBurial waits until nothing is left of the containerd of a dockerd that was
// killed. It dies with it, but as long as nobody has collected it (not every process 1
// does so at once) the next dockerd takes it for one that runs.
func (m *machine) awaitBurial() {
	m.t.Helper()
	pid, err := os.ReadFile(m.path("run/containerd/containerd.pid"))
	if err != nil {
		return // there was none
	}
	require.Eventually(m.t, func() bool {
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(pid)))
		return err != nil
	}, 30*time.Second, 10*time.Millisecond, "containerd is still there")
}

func (m *machine) address() string { return "unix://" + m.path("docker.sock") }

// startContainerd starts one, unless it runs, and returns its address.
func (m *machine) startContainerd() string {
	address := m.path("run/own-containerd.sock")
	if conn, err := net.Dial("unix", address); err == nil {
		_ = conn.Close() // it was only asked
		return address
	}
	config := m.path("containerd.toml")
	require.NoError(m.t, os.WriteFile(config, []byte("version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"), 0o600))
	m.run("containerd", "--config", config, "--address", address, "--root", m.path("containerd"), "--state", m.path("run/own-containerd"))
	return address
}

// startEngine starts dockerd, and waits until it answers.
func (m *machine) startEngine() {
	m.t.Helper()
	m.launchEngine()
	m.awaitEngine()
}

func (m *machine) awaitEngine() {
	m.t.Helper()
	require.Eventually(m.t, func() bool {
		return exec.Command("docker", "--host", m.address(), "version").Run() == nil
	}, 60*time.Second, 50*time.Millisecond, "dockerd does not answer")
}

// stopEngine ends dockerd. What it leaves behind, it leaves behind.
func (m *machine) stopEngine(signal syscall.Signal) {
	m.t.Helper()
	require.NoError(m.t, m.engine.cmd.Process.Signal(signal))
	select {
	case <-m.engine.done:
	case <-time.After(60 * time.Second):
		m.t.Fatal("dockerd does not end")
	}
}

// reboot pulls the plug: everything that runs is killed in one moment, and nothing
// remains but what is on the disk. The machine is on again then, with nothing
// started yet.
func (m *machine) reboot() {
	m.t.Helper()
	m.order("off")
	<-m.engine.done
	m.order("on")
}

// dial connects to an address as the machine sees it: a socket belongs to the
// namespace in which its thread was when it made it.
func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(own) //nolint:errcheck // it was only read
	there, err := unix.Open(m.namespace(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(there) //nolint:errcheck // it was only read
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
		panic(back) // this thread must not do anything else
	}
	runtime.UnlockOSThread()
	return conn, err
}

// world starts an octohost on the machine.
func (m *machine) world(env ...string) *world {
	m.t.Helper()
	dir := m.t.TempDir()
	if m.disk != m.dir {
		dir = filepath.Join(m.disk, "octo")
		require.NoError(m.t, os.MkdirAll(dir, 0o750))
	}
	w := &world{
		t: m.t, dir: dir, engine: m.address(), env: env, http: "127.0.0.1:8080", ssh: "127.0.0.1:2222",
		wrap: m.wrap(), dial: m.dial, passing: true,
	}
	w.admit = w.path("key.pub")
	w.prepare()
	w.start()
	return w
}

// leftovers are the processes, mounts, control groups, namespaces and files of
// machines that are there now.
func leftovers(t *testing.T, m *machine) []string {
	t.Helper()
	var found []string
	mounts, err := os.ReadFile("/proc/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.dir) || strings.Contains(line, m.name) {
			found = append(found, line)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/" + m.name, "/sys/fs/cgroup/*/" + m.name, m.namespace(), m.dir} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		found = append(found, paths...)
	}
	out, _ := exec.Command("pgrep", "-a", "-f", m.dir).Output() // fails when there is none
	return append(found, strings.Fields(string(out))...)
}

// A machine leaves nothing behind, also when everything runs and nobody stops it.
func TestMachine_LeavesNothingBehind(t *testing.T) {
	var m *machine
	t.Run("use", func(t *testing.T) {
		m = newMachine(t)
		w := m.world()
		w.repo("hello").deploy("v1")
		require.NotEmpty(t, leftovers(t, m))
	})
	if m != nil {
		require.Empty(t, leftovers(t, m))
	}
}
