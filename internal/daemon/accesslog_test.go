package daemon

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAccessLog_IsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	a, err := openAccessLog(path)
	require.NoError(t, err)
	_, err = a.Write([]byte("one\n"))
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".1"))
	_, err = a.Write([]byte("two\n"))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.watchReopen(ctx, slog.New(slog.DiscardHandler)) }()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1) // nobody may be listening yet, and it kills
	require.Eventually(t, func() bool {
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
		_, err := os.Stat(path)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	_, err = a.Write([]byte("three\n"))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	for file, want := range map[string]string{path: "three\n", path + ".1": "one\ntwo\n"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}
