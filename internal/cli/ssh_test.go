package cli

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// told is what the tests make of the end of a program.
func told(err error) error { return octo.Errorf(octo.ErrUnavailable, "it ended: %v", err) }

func TestProcessConn_CarriesBothWays(t *testing.T) {
	conn, err := startProcess(exec.Command("cat"), io.Discard, told)
	require.NoError(t, err)
	big := strings.Repeat("0123456789", 100_000)
	go func() { _, _ = io.WriteString(conn, big) }() // what arrives is checked
	got := make([]byte, len(big))
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, big, string(got))
	require.Equal(t, "process", conn.RemoteAddr().Network())
	require.NoError(t, conn.Close())
	require.NoError(t, conn.Close())
	_, err = conn.Write([]byte("x"))
	require.Error(t, err)
}

func TestProcessConn_TheEndOfTheProgramIsExplained(t *testing.T) {
	var said tail
	conn, err := startProcess(exec.Command("sh", "-c", "echo why >&2; exit 7"), &said, told)
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.EqualError(t, err, "it ended: exit status 7")
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.Equal(t, "why\n", said.String())
	_, err = conn.Write([]byte("x"))
	require.EqualError(t, err, "it ended: exit status 7")
	require.NoError(t, conn.Close())
}

func TestProcessConn_AGoodEndIsTheEnd(t *testing.T) {
	conn, err := startProcess(exec.Command("echo", "bye"), io.Discard, told)
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "bye\n", string(got))
	require.NoError(t, conn.Close())
}

func TestProcessConn_OneThatDoesNotEndIsKilled(t *testing.T) {
	conn, err := startProcess(exec.Command("sleep", "60"), io.Discard, told)
	require.NoError(t, err)
	start := time.Now()
	require.NoError(t, conn.Close())
	require.Less(t, time.Since(start), 30*time.Second)
}

func TestProcessConn_MissingProgram(t *testing.T) {
	_, err := startProcess(exec.Command("no-such-program"), io.Discard, func(err error) error { return err })
	require.True(t, errors.Is(err, exec.ErrNotFound), err)
}

func TestTail_KeepsTheEnd(t *testing.T) {
	var said tail
	for range 3 {
		_, err := said.Write([]byte(strings.Repeat("x", maxTail)))
		require.NoError(t, err)
	}
	_, err := said.Write([]byte("end"))
	require.NoError(t, err)
	require.Len(t, said.String(), maxTail)
	require.True(t, strings.HasSuffix(said.String(), "xend"))
}
