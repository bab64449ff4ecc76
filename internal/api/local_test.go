package api_test

import (
	"context"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
	"github.com/octohost/octohost/internal/octo"
)

func TestListenLocal_SocketIsForOwnerAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octo.sock")
	l, err := api.ListenLocal(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	require.Equal(t, path, l.Addr().String())
	require.NoError(t, l.Close())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, left, "the socket and all that it took to make it are gone")
}

func TestListenLocal_TakesOverFromTheDeadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octo.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())

	l, err := api.ListenLocal(path)
	require.NoError(t, err)
	_, err = api.ListenLocal(path)
	require.ErrorIs(t, err, octo.ErrConflict)
	require.ErrorContains(t, err, "another octo serve answers")
	require.NoError(t, l.Close())

	require.NoError(t, os.WriteFile(path, []byte("dear diary"), 0o600))
	_, err = api.ListenLocal(path)
	require.ErrorIs(t, err, octo.ErrConflict)
	_, err = api.ListenLocal(filepath.Join(t.TempDir(), strings.Repeat("x", 100)))
	require.ErrorIs(t, err, octo.ErrInvalid)
}

func TestServeLocal_KnowsWhoConnects(t *testing.T) {
	c := socketDoor(t, apitest.New().Config(), admin)
	me, err := user.Current()
	require.NoError(t, err)
	about, err := c.About(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.About{Version: "v1.2.3", Identity: octo.Identity{User: me.Username, Admin: true}}, about)
}

func TestDialLocal_GivesAdvice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octo.sock")
	_, err := api.NewClient(api.DialLocal(path)).Apps(t.Context())
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "is octo serve running?")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = api.NewClient(api.DialLocal(path)).Apps(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestServeLocal_StoppingTellsThoseWhoWait(t *testing.T) {
	w := apitest.New()
	path := filepath.Join(t.TempDir(), "octo.sock")
	l, err := api.ListenLocal(path)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- api.NewServer(w.Config()).ServeLocal(ctx, l) }()

	_, err = w.CreateApp(t.Context(), admin, "hello")
	require.NoError(t, err)
	c := api.NewClient(api.DialLocal(path))
	defer c.Close()
	for _, err := range c.Events(t.Context(), octo.EventQuery{Follow: true}) {
		if err != nil {
			require.ErrorIs(t, err, octo.ErrUnavailable)
			require.ErrorContains(t, err, "octohost is stopping")
			break
		}
		stop()
	}
	require.NoError(t, <-ended)
	require.NoFileExists(t, path)
}
