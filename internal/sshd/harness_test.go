package sshd_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
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
	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/sshd"
)

// The test binary is also the hook that git runs. It leaves at once: os.Exit of a
// binary built with -race sleeps for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "hook" {
		syscall.Exit(git.Hook(context.Background(), os.Args[2:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const patience = 20 * time.Second

// house is a door with real git behind it, and little else.
type house struct {
	t     testing.TB
	dir   string
	port  string
	repos *git.Repos
	log   *text
	stop  func() error // ends the door and returns what Run did

	mu     sync.Mutex
	keys   map[string]octo.Key
	apps   map[octo.Name]string // owners
	deploy func(ctx context.Context, push octo.Push, out io.Writer) error
	run    func(ctx context.Context, c call) int
}

// call is a command as it arrives behind the door.
type call struct {
	who   octo.Identity
	args  []string
	stdio octo.Stdio
	on    sshd.Terminal
}

// openHouse starts a house in which alice and bob have keys.
func openHouse(t testing.TB, change ...func(*sshd.Config, *git.Config)) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "octo") // short, for the socket's path
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	h := &house{t: t, dir: dir, log: &text{}, keys: map[string]octo.Key{}, apps: map[octo.Name]string{}}
	h.newKey("alice")
	h.newKey("bob")
	host, err := sshd.LoadHostKey(filepath.Join(dir, "host_key"))
	require.NoError(t, err)
	executable, err := os.Executable()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, h.port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	known := fmt.Sprintf("[127.0.0.1]:%s %s", h.port, ssh.MarshalAuthorizedKey(host.PublicKey()))
	require.NoError(t, os.WriteFile(h.path("known_hosts"), []byte(known), 0o600))
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	gitConfig := git.Config{
		Dir: h.path("git"), Socket: h.path("hook"), Executable: executable, Log: log,
		Deploy: h.deployed, Branch: func(context.Context, octo.Name) (string, error) { return "", nil },
	}
	config := sshd.Config{
		Admitted: func(context.Context) error { return nil },
		Listen:   func() (net.Listener, error) { return listener, nil },
		HostKey:  host, Key: h.key, Authorize: h.authorize, CreateApp: h.createApp, Log: log,
		API: func(_ context.Context, stream io.ReadWriteCloser, _ octo.Identity) error {
			_, err := io.Copy(stream, stream)
			return err
		},
		Command: h.command,
	}
	for _, c := range change {
		c(&config, &gitConfig)
	}
	h.repos, err = git.New(gitConfig)
	require.NoError(t, err)
	config.Git = h.repos
	h.start(sshd.New(config))
	return h
}

// start runs the door, and git behind it for longer.
func (h *house) start(s *sshd.Server) {
	inside, endInside := context.WithCancel(context.Background())
	outside, endOutside := context.WithCancel(context.Background())
	door, rooms := make(chan error, 1), make(chan error, 1)
	go func() { rooms <- h.repos.Run(inside) }()
	go func() { door <- s.Run(outside) }()
	h.stop = sync.OnceValue(func() error {
		endOutside()
		err := <-door
		endInside()
		return errors.Join(err, <-rooms)
	})
	h.t.Cleanup(func() {
		require.NoError(h.t, h.stop())
		if h.t.Failed() {
			h.t.Log(h.log.String())
		}
	})
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// newKey admits somebody with a new key, whose file has their name.
func (h *house) newKey(user string) octo.Key {
	h.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(h.t, err)
	block, err := ssh.MarshalPrivateKey(private, user)
	require.NoError(h.t, err)
	require.NoError(h.t, os.WriteFile(h.path(user), pem.EncodeToMemory(block), 0o600))
	sshPublic, err := ssh.NewPublicKey(public)
	require.NoError(h.t, err)
	line := ssh.MarshalAuthorizedKey(sshPublic)
	require.NoError(h.t, os.WriteFile(h.path(user+".pub"), line, 0o600))
	key, err := sshd.ParseAuthorizedKey(string(line))
	require.NoError(h.t, err)
	key.User = user
	h.admit(key)
	return key
}

func (h *house) admit(key octo.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[key.Fingerprint] = key
}

func (h *house) expel(key octo.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.keys, key.Fingerprint)
}

func (h *house) key(_ context.Context, fingerprint string) (octo.Key, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key, ok := h.keys[fingerprint]
	if !ok {
		return key, octo.Errorf(octo.ErrNotFound, "no such key")
	}
	return key, nil
}

func (h *house) authorize(_ context.Context, who octo.Identity, what octo.Action, name octo.Name) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name == "" {
		return octo.Allowed(who, what, nil)
	}
	owner, ok := h.apps[name]
	if !ok {
		return octo.NoSuchApp(name)
	}
	return octo.Allowed(who, what, &octo.App{Name: name, Owner: owner})
}

func (h *house) createApp(_ context.Context, who octo.Identity, app octo.Name) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.apps[app]; taken {
		return octo.Errorf(octo.ErrConflict, "%s is taken", app).WithHint("choose another name")
	}
	h.apps[app] = who.User
	return nil
}

func (h *house) deployed(ctx context.Context, push octo.Push, out io.Writer) error {
	h.mu.Lock()
	deploy := h.deploy
	h.mu.Unlock()
	if deploy == nil {
		return nil
	}
	return deploy(ctx, push, out)
}

func (h *house) onPush(d func(ctx context.Context, push octo.Push, out io.Writer) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deploy = d
}

func (h *house) command(ctx context.Context, who octo.Identity, args []string, stdio octo.Stdio, on sshd.Terminal) int {
	h.mu.Lock()
	run := h.run
	h.mu.Unlock()
	c := call{who, args, stdio, on}
	if run == nil {
		_, _ = fmt.Fprintf(stdio.Out, "%s %q\n", who.User, args)
		return 0
	}
	return run(ctx, c)
}

func (h *house) onCommand(run func(ctx context.Context, c call) int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run = run
}

// options are those of every ssh here: nothing of this machine's configuration.
func (h *house) options(user string) []string {
	return []string{
		"-F", "/dev/null", "-p", h.port, "-i", h.path(user), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "UserKnownHostsFile=" + h.path("known_hosts"), "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
	}
}

// ssh prepares OpenSSH's client as alice; args follow the options.
func (h *house) ssh(args ...string) *exec.Cmd {
	return h.sshAs("alice", append([]string{"octo@127.0.0.1"}, args...)...)
}

func (h *house) sshAs(user string, args ...string) *exec.Cmd {
	cmd := exec.Command("ssh", append(h.options(user), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// result is what a command has printed, and how it ended.
type result struct {
	out, err string
	exit     int
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &exit)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// text is output that is looked at while it grows.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// background is a command under way.
type background struct {
	t   *testing.T
	cmd *exec.Cmd
	out *text
}

func start(t *testing.T, cmd *exec.Cmd) *background {
	t.Helper()
	b := &background{t: t, cmd: cmd, out: &text{}}
	cmd.Stdout, cmd.Stderr = b.out, b.out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return b
}

// see waits until the output contains what is wanted.
func (b *background) see(want string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return strings.Contains(b.out.String(), want) }, patience, 5*time.Millisecond, "%s", want)
}

// end waits for the command.
func (b *background) end() (int, string) {
	b.t.Helper()
	_ = b.cmd.Wait() // the exit status says it
	return b.cmd.ProcessState.ExitCode(), b.out.String()
}

// interrupt is Ctrl-C: a signal to everything that a terminal runs.
func (b *background) interrupt() {
	require.NoError(b.t, syscall.Kill(-b.cmd.Process.Pid, syscall.SIGINT))
	_ = b.cmd.Wait() // it was interrupted
}

// within waits for what comes from ch.
func within[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		require.FailNow(t, "waited for too long")
	}
	return v
}
