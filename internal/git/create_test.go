package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestCreate_IsAtomicAndIdempotent(t *testing.T) {
	h := startHost(t)
	require.False(t, h.Exists("hello"))
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			if err := h.Create(t.Context(), "hello"); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	require.True(t, h.Exists("hello"))
	require.NoError(t, h.Create(t.Context(), "a"))
	require.NoError(t, os.MkdirAll(filepath.Join(h.cfg.Dir, "Not-A-Name.git"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(h.cfg.Dir, "lost+found"), 0o700))
	apps, err := h.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []octo.Name{"a", "hello"}, apps)
	require.Equal(t, []string{"home", "hooks"}, entries(t, h.hidden), "nothing half-made is left")
}

func TestRemove_WaitsForAPush(t *testing.T) {
	h := startHost(t)
	l := newLatch()
	h.onPush(l.deploy)
	c := newClone(t, h, "hello")
	push := c.start("push", "octo", "main")
	within(t, l.began)
	waiting := c.start("push", "octo", "main")
	waiting.see("Waiting: 1 push of hello is ahead")
	removed := make(chan error, 1)
	go func() { removed <- h.Remove(t.Context(), "hello") }()
	require.Eventually(t, func() bool {
		h.queue.mu.Lock()
		defer h.queue.mu.Unlock()
		return len(h.queue.lines["hello"]) == 3
	}, patience, time.Millisecond)
	require.True(t, h.Exists("hello"))

	l.free <- nil

	exit, _ := push.end()
	require.Zero(t, exit)
	exit, _ = waiting.end()
	require.Zero(t, exit)
	require.NoError(t, within(t, removed))
	require.False(t, h.Exists("hello"))
	require.Equal(t, []string{".octo"}, entries(t, h.cfg.Dir))
	require.NoError(t, h.Remove(t.Context(), "hello"), "again")
}

func TestReceivePack_AfterRemovalFindsNoApp(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	require.NoError(t, h.Create(t.Context(), "hello"))
	leave, err := h.queue.wait(t.Context(), "hello", nil)
	require.NoError(t, err)
	waiting := c.start("push", "octo", "main")
	waiting.see("Waiting: 1 push of hello is ahead")
	require.NoError(t, os.RemoveAll(h.dir("hello")))
	leave()
	exit, out := waiting.end()
	require.NotZero(t, exit)
	require.Contains(t, out, "no app named hello")
}

func TestEnvironment_IsClean(t *testing.T) {
	t.Setenv("GIT_DIR", "/elsewhere")
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("LANG", "de_DE.UTF-8")
	t.Setenv("SECRET", "x")
	h := startHost(t)
	cmd := h.command(t.Context(), "hello", "status")
	require.Equal(t, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.home(), "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_DIR=.",
	}, cmd.Env)
	require.True(t, goodProtocol("version=2"))
	for _, bad := range []string{"", "version=3", "version=2:x", "version=22", "x=version=2", "version=2\n"} {
		require.False(t, goodProtocol(bad), bad)
	}
}

func TestVersion_OldOnesAreRefused(t *testing.T) {
	for text, old := range map[string]bool{"1.9.5": true, "2.28.1": true, "2.29.0": false, "2.39.5": false, "2.50.1 (Apple Git-155)": false, "3.0.0": false} {
		v, err := parseVersion(text)
		require.NoError(t, err)
		require.Equal(t, old, v.before(oldest()), text)
	}
	_, err := parseVersion("unknown")
	require.ErrorIs(t, err, octo.ErrUnavailable)
	t.Setenv("PATH", t.TempDir())
	_, err = Version(t.Context())
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "apt-get install git")
}

func TestMaintain_PacksTogether(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.limits.packs = 5 })
	c := newClone(t, h, "hello")
	first := c.git("rev-parse", "HEAD")
	require.NoError(t, h.Maintain(t.Context(), "nothing"))
	for i := range 5 {
		c.git("commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
		c.git("push", "-q", "octo", "main")
		require.NoError(t, h.Tag(t.Context(), "hello", i+1, first))
	}
	require.NoError(t, h.Maintain(t.Context(), "hello"))
	packs, err := filepath.Glob(escapeGlob(h.dir("hello")) + "/objects/pack/*.pack")
	require.NoError(t, err)
	require.Len(t, packs, 1)
	require.Equal(t, first, h.ref("hello", "refs/octo/releases/v5"))
	c.commit("more", "more")
	c.git("push", "octo", "main")
	c.git("clone", "-q", "octo@door:hello", t.TempDir())
}

func TestNew_RefusesAPathTooLongForASocket(t *testing.T) {
	_, err := New(Config{Dir: t.TempDir(), Socket: "/" + strings.Repeat("x", 107)})
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "choose a data directory with a shorter path")
}
