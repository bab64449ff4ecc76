package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoff(t *testing.T) {
	for attempts, want := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
		require.Equal(t, want*time.Second, backoff(attempts), attempts)
	}
	require.Equal(t, time.Minute, backoff(1<<40))
}

func TestPatience(t *testing.T) {
	const deadline = time.Minute
	require.Equal(t, deadline, patience(deadline, false, 5))
	require.Equal(t, deadline, patience(deadline, true, 0))
	require.Equal(t, deadline, patience(deadline, true, 1))
	require.Equal(t, 2*deadline, patience(deadline, true, 2))
	require.Equal(t, maxPatience, patience(deadline, true, 9))
	require.Equal(t, time.Hour, patience(time.Hour, true, 1000), "never less than the app asks for")
	require.Equal(t, 10*time.Second, patience(10*time.Millisecond, true, 1<<40).Truncate(10*time.Second))
}
