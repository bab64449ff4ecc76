package api_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
)

// nobody is a user id that is on every machine, and in no group that matters.
const nobody = 65534

// TestMain lets the test binary play a client that runs as somebody else.
func TestMain(m *testing.M) {
	if path := os.Getenv("OCTO_TEST_SOCKET"); path != "" {
		about, err := api.NewClient(api.DialLocal(path)).About(context.Background())
		fmt.Println(about.User, about.Admin, err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestServeLocal_FilePermissionsDecideWhoGetsIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can play another user")
	}
	dir := reachable(t)
	path := filepath.Join(dir, "octo.sock")
	serveLocal(t, apitest.New().Config(), path)
	require.Contains(t, asNobody(t, path), "false you may not use the octohost of this machine")
	require.NoError(t, os.Chmod(path, 0o666))
	require.Equal(t, "nobody true <nil>\n", asNobody(t, path))
}

// reachable returns a directory that every user may enter, with a client in it.
func reachable(t *testing.T) string {
	dir, err := os.MkdirTemp("", "octo-peer-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "client"), self, 0o755))
	return dir
}

func asNobody(t *testing.T, path string) string {
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(path), "client"))
	cmd.Env = []string{"OCTO_TEST_SOCKET=" + path}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}
