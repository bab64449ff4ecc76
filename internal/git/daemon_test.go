package git

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// runTestDaemon is a daemon whose deploys never end.
func runTestDaemon(dir string) int {
	executable, _ := os.Executable()
	r, err := New(Config{
		Dir: filepath.Join(dir, "repos"), Socket: filepath.Join(dir, "hook"), Executable: executable,
		Branch: func(context.Context, octo.Name) (string, error) { return "", nil },
		Deploy: func(ctx context.Context, _ octo.Push, out io.Writer) error {
			_, _ = io.WriteString(out, "deploying\n")
			<-ctx.Done()
			return ctx.Err()
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	openDoor(nil, filepath.Join(dir, "door"), r)
	fmt.Println("ready")
	_ = r.Run(context.Background())
	return 0
}

func TestRun_KilledDaemonLeavesNoLock(t *testing.T) {
	dir := shortDir(t)
	executable, err := os.Executable()
	require.NoError(t, err)
	daemon := exec.Command(executable)
	daemon.Env = append(os.Environ(), "OCTO_TEST_DAEMON="+dir)
	out := newLines()
	daemon.Stdout, daemon.Stderr = out, out
	require.NoError(t, daemon.Start())
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "ready") }, patience, 5*time.Millisecond, "%s", out)
	c := newCloneAt(t, filepath.Join(dir, "door"), "hello")
	push := c.start("push", "octo", "main")
	push.see("remote: deploying")
	waiting := c.start("push", "octo", "main")
	waiting.see("-----> Waiting: 1 push of hello is ahead")

	require.NoError(t, daemon.Process.Kill())
	_ = daemon.Wait() // it was killed
	exit, said := push.end()
	require.NotZero(t, exit)
	require.NotContains(t, said, "* [new branch]")
	exit, _ = waiting.end()
	require.NotZero(t, exit)

	h := startHostIn(t, dir)
	require.Contains(t, c.git("push", "octo", "main"), "* [new branch]")
	require.NotEmpty(t, h.ref("hello", "refs/heads/main"))
}

func TestNew_RemovesWhatACrashLeft(t *testing.T) {
	dir := shortDir(t)
	first := startHostIn(t, dir)
	c := newClone(t, first, "hello")
	c.git("push", "octo", "main")
	require.NoError(t, first.stop())
	repo := first.dir("hello")
	for _, left := range []string{
		"objects/tmp_objdir-incoming-abc/pack/tmp_pack_x", "objects/incoming-abc/17/0", "objects/pack/tmp_idx_y",
		"refs/heads/main.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "../.octo/new-1/HEAD", "../.octo/gone-1/repository/HEAD",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(repo, left)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(repo, left), nil, 0o600))
	}

	second := startHostIn(t, dir)

	require.Equal(t, []string{"info", "pack"}, entries(t, repo+"/objects"))
	require.Equal(t, []string{"home", "hooks"}, entries(t, second.hidden))
	c.commit("more", "more")
	c.git("push", "octo", "main")
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestRun_EndsDeploysAndProcesses(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	h.onPush(func(ctx context.Context, _ octo.Push, out io.Writer) error {
		_, _ = io.WriteString(out, "deploying\n")
		<-ctx.Done()
		return octo.Errorf(octo.ErrUnavailable, "octohost is shutting down")
	})
	push := c.start("push", "octo", "main")
	push.see("remote: deploying")

	require.NoError(t, h.stop())

	exit, out := push.end()
	require.Equal(t, 1, exit)
	require.Contains(t, out, "(deploy failed: octohost is shutting down)")
	_, err := h.ReceivePack(context.Background(), octo.Identity{}, "hello", "", octo.Stdio{})
	require.ErrorIs(t, err, octo.ErrUnavailable)
}

func TestHook_RefusesStrangers(t *testing.T) {
	h := startHost(t)
	for name, hello := range map[string]string{
		"unknown": strings.Repeat("0", idLength) + "\n",
		"short":   "12\n",
		"garbage": strings.Repeat("\xff", 100),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("unix", h.cfg.Socket)
			require.NoError(t, err)
			_, err = io.WriteString(conn, hello)
			require.NoError(t, err)
			require.NoError(t, conn.(*net.UnixConn).CloseWrite())
			answer, _ := io.ReadAll(conn) // closed, or reset because not all was read
			require.Empty(t, answer)
			require.NoError(t, conn.Close())
		})
	}
	info, err := os.Stat(h.cfg.Socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestHook_SpeaksOnce(t *testing.T) {
	var g registry
	p := g.add("hello", octo.Identity{})
	require.Len(t, p.id, idLength)
	_, ok := g.claim("x" + p.id[1:])
	require.False(t, ok)
	got, ok := g.claim(p.id)
	require.True(t, ok)
	require.Same(t, p, got)
	_, ok = g.claim(p.id)
	require.False(t, ok, "a second hook of the same push")
}

func TestHook_SaysWhyItCannot(t *testing.T) {
	for name, test := range map[string]struct {
		args, env []string
		want      string
	}{
		"other hook":  {[]string{"pre-receive"}, nil, `there is no such hook: ["pre-receive"]`},
		"no hook":     {nil, nil, "there is no such hook: []"},
		"by hand":     {[]string{"proc-receive"}, nil, "this hook is run by git, during a push"},
		"daemon gone": {[]string{"proc-receive"}, []string{envSocket + "=/nowhere", envPush + "=1"}, "reach the daemon"},
	} {
		t.Run(name, func(t *testing.T) {
			out := newLines()
			require.Equal(t, 1, Hook(t.Context(), test.args, test.env, strings.NewReader(""), out, out))
			require.Contains(t, out.String(), test.want)
		})
	}
}
