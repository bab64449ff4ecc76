package ring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/ring"
)

// A disk that is full costs the records that come meanwhile, and none of the others.
func TestAppend_OnAFullDiskKeepsWhatThereIs(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("octohost-test", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 100<<10), 0o600))

	cfg := ring.Config{Dir: filepath.Join(disk, "log"), Max: 4 << 20}
	l := open(t, cfg)
	var want []string
	var err error
	for i := 0; err == nil; i++ {
		text := fmt.Sprintf("%d %s", i, strings.Repeat("x", 1500))
		if err = l.Append(second(i), []byte(text)); err == nil {
			want = append(want, text)
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	got, _ := forward(t, l, ring.Position{})
	require.Equal(t, want, got)
	got, _ = forward(t, open(t, cfg), ring.Position{})
	require.Equal(t, want, got)

	require.NoError(t, os.Remove(ballast))
	require.NoError(t, l.Append(second(1000), []byte("there is room again")))
	got, gaps := forward(t, open(t, cfg), ring.Position{})
	require.Equal(t, append(want, "there is room again"), got)
	require.Zero(t, gaps)
}
