package sshd_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/sshd"
)

// clone is a person's working copy, with the remote octo.
type clone struct {
	t   testing.TB
	dir string
	env []string
}

func (h *house) clone(t testing.TB, user, app string) *clone {
	t.Helper()
	c := &clone{t: t, dir: t.TempDir(), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=" + user, "GIT_AUTHOR_EMAIL=x@example.com", "GIT_COMMITTER_NAME=" + user, "GIT_COMMITTER_EMAIL=x@example.com",
		"GIT_SSH_COMMAND=ssh '" + strings.Join(h.options(user), "' '") + "'",
	}}
	c.git("init", "-q", "-b", "main")
	c.git("remote", "add", "octo", fmt.Sprintf("ssh://octo@127.0.0.1:%s/%s", h.port, app))
	c.commit("Dockerfile", "FROM scratch\n")
	return c
}

func (c *clone) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// git runs git, which must succeed, and returns what it prints.
func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.command(args...).CombinedOutput()
	require.NoError(c.t, err, "git %s: %s", args, out)
	return strings.TrimSpace(string(out))
}

// fail runs git, which must fail, and returns what it prints.
func (c *clone) fail(args ...string) string {
	c.t.Helper()
	out, err := c.command(args...).CombinedOutput()
	require.Error(c.t, err, "git %s: %s", args, out)
	return strings.ReplaceAll(string(out), "\r", "")
}

func (c *clone) commit(name, content string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o644))
	c.git("add", "-A")
	c.git("commit", "-q", "-m", "change "+name)
}

func (c *clone) noise(size int) {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	c.commit("noise", string(b))
}

func TestGit_PushAndClone(t *testing.T) {
	h := openHouse(t)
	h.onPush(func(_ context.Context, p octo.Push, out io.Writer) error {
		_, err := fmt.Fprintf(out, "-----> Building %s for %s\n", p.App, p.User)
		return err
	})
	c := h.clone(t, "alice", "hello")
	out := c.git("push", "octo", "main")
	require.Contains(t, out, "-----> Creating app hello\n")
	require.Contains(t, out, "remote: -----> Building hello for alice")
	require.Contains(t, out, "* [new branch]      main -> main")
	require.Contains(t, c.git("push", "octo", "main"), "Everything up-to-date")

	for _, url := range []string{"ssh://octo@127.0.0.1:%s/hello", "ssh://git@127.0.0.1:%s/hello.git"} {
		dir := filepath.Join(t.TempDir(), "copy")
		c.git("clone", "-q", fmt.Sprintf(url, h.port), dir)
		require.FileExists(t, filepath.Join(dir, "Dockerfile"))
	}
	c.git("fetch", "octo")
}

func TestGit_FailedDeployRejects(t *testing.T) {
	h := openHouse(t)
	c := h.clone(t, "alice", "hello")
	c.git("push", "octo", "main")
	before := c.git("ls-remote", "octo")
	h.onPush(func(context.Context, octo.Push, io.Writer) error {
		return octo.Errorf(octo.ErrInvalid, "v2 failed: its program ended")
	})
	c.commit("more", "more")
	require.Contains(t, c.fail("push", "octo", "main"), "! [remote rejected] main -> main (deploy failed: v2 failed: its program ended)")
	require.Equal(t, before, c.git("ls-remote", "octo"))
}

func TestGit_RefusesWhoMayNot(t *testing.T) {
	h := openHouse(t)
	h.clone(t, "alice", "hello").git("push", "octo", "main")
	bob := h.clone(t, "bob", "hello")
	require.Contains(t, bob.fail("push", "octo", "main"), " !     hello is taken\n       choose another name\n")
	require.Contains(t, bob.fail("fetch", "octo"), " !     no app named hello\n")
	require.Contains(t, bob.fail("fetch", fmt.Sprintf("ssh://octo@127.0.0.1:%s/nothing", h.port)), " !     no app named nothing\n       list yours with: octo apps\n")
	require.Contains(t, bob.fail("push", fmt.Sprintf("ssh://octo@127.0.0.1:%s/Hello;id", h.port), "main"), `"Hello;id" is not a valid name`)
}

func TestGit_TwoFirstPushesAtOnce(t *testing.T) {
	h := openHouse(t)
	c := h.clone(t, "alice", "hello")
	first, second := start(t, c.command("push", "octo", "main")), start(t, c.command("push", "octo", "main"))
	exit, out := first.end()
	require.Zero(t, exit, out)
	exit, out = second.end()
	require.Zero(t, exit, out)
}

func TestGit_SecondPushWaits(t *testing.T) {
	h := openHouse(t)
	free := make(chan struct{})
	h.onPush(func(context.Context, octo.Push, io.Writer) error { <-free; return nil })
	c := h.clone(t, "alice", "hello")
	first := start(t, c.command("push", "octo", "main"))
	require.Eventually(t, func() bool { return h.repos.Exists("hello") }, patience, time.Millisecond)
	second := start(t, c.command("push", "octo", "main"))
	either := func() bool {
		return strings.Contains(first.out.String()+second.out.String(), "-----> Waiting: 1 push of hello is ahead")
	}
	require.Eventually(t, either, patience, 5*time.Millisecond)
	close(free)
	for _, b := range []*background{first, second} {
		exit, out := b.end()
		require.Zero(t, exit, out)
	}
}

func TestGit_StreamsLive(t *testing.T) {
	h := openHouse(t)
	next := make(chan string)
	h.onPush(func(_ context.Context, _ octo.Push, out io.Writer) error {
		for line := range next {
			_, _ = io.WriteString(out, line+"\n")
		}
		return nil
	})
	push := start(t, h.clone(t, "alice", "hello").command("push", "octo", "main"))
	for _, line := range []string{"one", "two", "three"} {
		next <- line
		push.see("remote: " + line)
	}
	close(next)
	exit, _ := push.end()
	require.Zero(t, exit)
}

func TestGit_CtrlCWhileSending(t *testing.T) {
	h := openHouse(t)
	c := h.clone(t, "alice", "hello")
	c.git("push", "octo", "main")
	before := c.git("ls-remote", "octo")
	deployed := make(chan struct{}, 1)
	h.onPush(func(context.Context, octo.Push, io.Writer) error { deployed <- struct{}{}; return nil })
	c.noise(8 << 20)
	cut := newCable(t, "127.0.0.1:"+h.port)
	_, port, _ := strings.Cut(cut.address, ":")
	cut.most.Store(2 << 20)
	c.env = append(c.env, "GIT_SSH_COMMAND=ssh '"+strings.Join(h.options("alice"), "' '")+"' -o HostKeyAlias=[127.0.0.1]:"+h.port+" -p "+port)

	push := start(t, c.command("push", fmt.Sprintf("ssh://octo@127.0.0.1:%s/hello", port), "main"))
	require.Eventually(t, func() bool { return quarantined(h.path("git/hello.git")) }, patience, 5*time.Millisecond, push.out)
	push.interrupt()

	require.Eventually(t, func() bool { return !quarantined(h.path("git/hello.git")) }, patience, 5*time.Millisecond)
	require.Equal(t, before, c.git("ls-remote", "octo"))
	require.Empty(t, deployed)
	c.git("push", "octo", "main")
	within(t, deployed)
}

// quarantined reports whether objects of a push under way are there.
func quarantined(repository string) bool {
	found, _ := filepath.Glob(repository + "/objects/tmp_objdir-*/pack/tmp_pack*")
	return len(found) > 0
}

func TestGit_CtrlCWhileDeploying(t *testing.T) {
	h := openHouse(t)
	c := h.clone(t, "alice", "hello")
	free, done := make(chan struct{}), make(chan error, 1)
	h.onPush(func(ctx context.Context, _ octo.Push, out io.Writer) error {
		_, _ = io.WriteString(out, "deploying\n")
		<-free
		done <- ctx.Err()
		return nil
	})
	push := start(t, c.command("push", "octo", "main"))
	push.see("remote: deploying")
	push.interrupt()
	next := start(t, c.command("push", "octo", "main"))
	next.see("-----> Waiting: 1 push of hello is ahead")
	close(free)
	require.NoError(t, within(t, done), "the deploy was not cancelled")
	exit, out := next.end()
	require.Zero(t, exit)
	require.Contains(t, out, "Everything up-to-date")
}

func TestGit_TooLargeAPush(t *testing.T) {
	h := openHouse(t, func(_ *sshd.Config, g *git.Config) { g.MaxPush = 1 << 20 })
	c := h.clone(t, "alice", "hello")
	c.noise(8 << 20)
	out := c.fail("push", "octo", "main")
	require.Contains(t, out, " !     this push is larger than 1.0 MiB\n       keep large files out of git")
	require.False(t, quarantined(h.path("git/hello.git")))
}

func TestGit_PushGoesOnWhileTheDoorCloses(t *testing.T) {
	h := openHouse(t)
	c := h.clone(t, "alice", "hello")
	free := make(chan struct{})
	h.onPush(func(_ context.Context, _ octo.Push, out io.Writer) error {
		_, _ = io.WriteString(out, "deploying\n")
		<-free
		return nil
	})
	push := start(t, c.command("push", "octo", "main"))
	push.see("remote: deploying")
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	push.see("octohost is shutting down: this may go on for 1m0s.")
	require.Equal(t, 255, finish(t, h.ssh("apps")).exit, "nobody new is let in")
	close(free)
	exit, out := push.end()
	require.Zero(t, exit, out)
	require.NoError(t, within(t, stopped))
}

func TestGit_FarewellIsBounded(t *testing.T) {
	h := openHouse(t, limit(sshd.Limits{Farewell: 100 * time.Millisecond}))
	c := h.clone(t, "alice", "hello")
	h.onPush(func(ctx context.Context, _ octo.Push, out io.Writer) error {
		_, _ = io.WriteString(out, "deploying\n")
		<-ctx.Done()
		return ctx.Err()
	})
	push := start(t, c.command("push", "octo", "main"))
	push.see("remote: deploying")
	waiting := start(t, c.command("push", "octo", "main"))
	waiting.see("Waiting")
	idle := h.dial(t, "alice")
	_, err := idle.NewSession()
	require.NoError(t, err)
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	require.NoError(t, within(t, stopped))
	exit, _ := push.end()
	require.NotZero(t, exit)
	exit, _ = waiting.end()
	require.NotZero(t, exit)
}
