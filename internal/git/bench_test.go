package git

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// BenchmarkPush compares a push of one small commit through everything here with
// one to a bare repository on the same disk.
func BenchmarkPush(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		c := benchClone(b, "")
		bare := b.TempDir()
		c.run(b, "init", "-q", "--bare", bare)
		c.run(b, "remote", "add", "octo", bare)
		c.loop(b)
	})
	b.Run("octohost", func(b *testing.B) {
		door := benchHost(b)
		c := benchClone(b, door)
		c.run(b, "remote", "add", "octo", "octo@door:hello")
		c.loop(b)
	})
}

func benchHost(b *testing.B) (door string) {
	dir, err := os.MkdirTemp("", "octo")
	require.NoError(b, err)
	executable, err := os.Executable()
	require.NoError(b, err)
	r, err := New(Config{
		Dir: filepath.Join(dir, "repos"), Socket: filepath.Join(dir, "hook"), Executable: executable,
		Deploy: func(context.Context, octo.Push, io.Writer) error { return nil },
		Branch: func(context.Context, octo.Name) (string, error) { return "", nil },
		Log:    slog.New(slog.DiscardHandler),
	})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	door = filepath.Join(dir, "door")
	closeDoor := openDoor(nil, door, r)
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-ran)
		closeDoor()
		require.NoError(b, os.RemoveAll(dir))
	})
	return door
}

// benchClone is a working copy without the comfort of clone.
func benchClone(b *testing.B, door string) *clone {
	executable, err := os.Executable()
	require.NoError(b, err)
	c := &clone{dir: b.TempDir(), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.TempDir(), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_SSH_COMMAND=" + executable, "GIT_SSH_VARIANT=ssh", "OCTO_TEST_DOOR=" + door,
	}}
	c.run(b, "init", "-q", "-b", "main")
	return c
}

func (c *clone) run(b *testing.B, args ...string) {
	out, err := c.command(args...).CombinedOutput()
	require.NoError(b, err, "%s: %s", args, out)
}

func (c *clone) loop(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c.run(b, "commit", "-q", "--allow-empty", "-m", "next")
		b.StartTimer()
		c.run(b, "push", "-q", "octo", "main")
	}
}
