package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// The test binary is also what git runs as its hook, what it takes for ssh, and a
// daemon to be killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "hook":
		leave(Hook(context.Background(), os.Args[2:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	case os.Getenv("OCTO_TEST_DOOR") != "":
		leave(runDoorClient(os.Getenv("OCTO_TEST_DOOR")))
	case os.Getenv("OCTO_TEST_DAEMON") != "":
		leave(runTestDaemon(os.Getenv("OCTO_TEST_DAEMON")))
	}
	os.Exit(m.Run())
}

// leave ends the process at once: os.Exit of a binary built with -race sleeps for a
// second first.
func leave(exit int) { syscall.Exit(exit) }

// deploys is what a deploy does in a test.
type deploys func(ctx context.Context, push octo.Push, out io.Writer) error

// host is a daemon with a door through which git clients reach it.
type host struct {
	*Repos
	t    *testing.T
	door string
	stop func() error // ends Run and returns its error

	mu     sync.Mutex
	deploy deploys
	pushes []octo.Push
	branch string
}

// startHost starts Repos in a short directory of its own: the path of a Unix socket
// has at most 108 bytes.
func startHost(t *testing.T, change ...func(*Repos)) *host {
	return startHostIn(t, shortDir(t), change...)
}

func startHostIn(t *testing.T, dir string, change ...func(*Repos)) *host {
	t.Helper()
	h := &host{t: t, door: filepath.Join(dir, "door")}
	executable, err := os.Executable()
	require.NoError(t, err)
	h.Repos, err = New(Config{
		Dir: filepath.Join(dir, "repos"), Socket: filepath.Join(dir, "hook"), Executable: executable,
		Deploy: h.deployed, Branch: h.branchOf,
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	})
	require.NoError(t, err)
	for _, c := range change {
		c(h.Repos)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	var runErr error
	g.Go(func() { runErr = h.Run(ctx) })
	door := openDoor(t, h.door, h.Repos)
	h.stop = sync.OnceValue(func() error {
		cancel()
		g.Wait()
		door()
		return runErr
	})
	t.Cleanup(func() { require.NoError(t, h.stop()) })
	return h
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "octo git'")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func (h *host) deployed(ctx context.Context, push octo.Push, out io.Writer) error {
	h.mu.Lock()
	h.pushes = append(h.pushes, push)
	deploy := h.deploy
	h.mu.Unlock()
	if deploy == nil {
		return nil
	}
	return deploy(ctx, push, out)
}

func (h *host) branchOf(context.Context, octo.Name) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.branch, nil
}

// onPush says what the next deploys do.
func (h *host) onPush(d deploys) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deploy = d
}

func (h *host) pushed() []octo.Push {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]octo.Push(nil), h.pushes...)
}

// ref returns what a ref of app points at, or "".
func (h *host) ref(app octo.Name, name string) string {
	out, err := h.output(context.Background(), app, "for-each-ref", "--format=%(objectname)", name)
	require.NoError(h.t, err)
	return strings.TrimSpace(string(out))
}

// testWriter sends a log to the test's.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// openDoor serves git clients that come through runDoorClient, until the answer is
// called. It stands in for ssh.
func openDoor(t *testing.T, path string, r *Repos) (closeDoor func()) {
	_ = os.Remove(path) // left by a daemon that was killed
	l, err := net.Listen("unix", path)
	if t != nil {
		require.NoError(t, err)
	}
	var g sync.WaitGroup
	g.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.Go(func() { serveDoor(conn, r) })
		}
	})
	return func() { _ = l.Close(); g.Wait() }
}

func serveDoor(conn net.Conn, r *Repos) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	words := strings.Fields(line)
	app := octo.Name(strings.Trim(words[1], "'"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pr, pw := io.Pipe()
	go func() { // the end of the connection is not the end of the input
		defer cancel()
		for {
			data, err := readPkt(in)
			if err != nil {
				_ = pw.Close()
			}
			if err != nil && !errors.Is(err, errFlush) {
				return
			}
			_, _ = pw.Write(data)
		}
	}()
	defer func() { _ = pr.Close() }()
	var mu sync.Mutex
	stdio := octo.Stdio{In: pr, Out: band{&mu, conn, bandOut}, Err: band{&mu, conn, bandErr}}
	serve := r.ReceivePack
	if words[0] == "git-upload-pack" {
		serve = r.UploadPack
	}
	exit, err := serve(ctx, octo.Identity{User: "alice"}, app, "version=2", stdio)
	if err != nil {
		_, _ = io.WriteString(stdio.Err, " !     "+err.Error()+"\n")
	}
	mu.Lock()
	defer mu.Unlock()
	_, _ = conn.Write(append(appendFlush(nil), byte(exit)))
}

// band writes packets of one stream.
type band struct {
	mu   *sync.Mutex
	to   io.Writer
	name string
}

func (b band) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for rest := p; len(rest) > 0; {
		n := min(len(rest), 32<<10)
		if _, err := b.to.Write(appendPkt(nil, b.name, string(rest[:n]))); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// runDoorClient is started by git in place of ssh.
func runDoorClient(path string) int {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return 255
	}
	_, _ = io.WriteString(conn, os.Args[len(os.Args)-1]+"\n")
	go func() {
		_, _ = io.Copy(band{&sync.Mutex{}, conn, ""}, os.Stdin)
		_, _ = conn.Write(appendFlush(nil))
	}()
	from := bufio.NewReader(conn)
	if relay(from, os.Stdout, os.Stderr) != nil {
		return 255
	}
	exit, err := from.ReadByte()
	if err != nil {
		return 255
	}
	return int(exit)
}

// clone is a person's working copy.
type clone struct {
	t   *testing.T
	dir string
	env []string
}

// newClone makes a repository with one commit and the remote octo.
func newClone(t *testing.T, h *host, app octo.Name) *clone {
	t.Helper()
	return newCloneAt(t, h.door, app)
}

func newCloneAt(t *testing.T, door string, app octo.Name) *clone {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	c := &clone{t: t, dir: t.TempDir(), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com",
		"GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
		"GIT_SSH_COMMAND='" + strings.ReplaceAll(executable, "'", `'\''`) + "'", "GIT_SSH_VARIANT=ssh", "OCTO_TEST_DOOR=" + door,
	}}
	c.git("init", "-q", "-b", "main")
	c.git("remote", "add", "octo", "octo@door:"+string(app))
	c.commit("Dockerfile", "FROM scratch\n")
	return c
}

func (c *clone) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// git runs git and returns what it prints; it must succeed.
func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.command(args...).CombinedOutput()
	require.NoError(c.t, err, "git %s: %s", args, out)
	return strings.TrimSpace(string(out))
}

// fail runs git and returns what it prints; it must fail.
func (c *clone) fail(args ...string) string {
	c.t.Helper()
	out, err := c.command(args...).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(c.t, err, &exit, "git %s: %s", args, out)
	return strings.TrimSpace(string(out))
}

// commit writes a file, commits it and returns the commit's id.
func (c *clone) commit(name, content string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c.t, os.WriteFile(path, []byte(content), 0o644))
	c.git("add", "-A")
	c.git("commit", "-q", "-m", "change "+name)
	return c.git("rev-parse", "HEAD")
}

// background is a git command under way, whose output can be waited for.
type background struct {
	t   *testing.T
	cmd *exec.Cmd
	out *lines
}

func (c *clone) start(args ...string) *background {
	c.t.Helper()
	b := &background{t: c.t, cmd: c.command(args...), out: newLines()}
	b.cmd.Stdout, b.cmd.Stderr = b.out, b.out
	require.NoError(c.t, b.cmd.Start())
	c.t.Cleanup(func() { _ = kill(b.cmd) })
	return b
}

// see waits until the output contains text.
func (b *background) see(text string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return strings.Contains(b.out.String(), text) }, patience, 5*time.Millisecond, "%s", text)
}

// end waits for the command and returns its exit status and output.
func (b *background) end() (int, string) {
	b.t.Helper()
	err := b.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(b.t, err)
	}
	return b.cmd.ProcessState.ExitCode(), b.out.String()
}

// kill ends the command and all that it started, like a lost machine.
func (b *background) kill() {
	require.NoError(b.t, kill(b.cmd))
	_ = b.cmd.Wait() // it was killed
}

const patience = 20 * time.Second

// lines is output that is looked at while it grows.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func newLines() *lines { return &lines{} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// within fails the test when ch is not closed, or nothing comes, in time.
func within[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited for too long")
		return v
	}
}
