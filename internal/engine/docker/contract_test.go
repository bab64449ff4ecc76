package docker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
)

// pool is where the networks of these tests come from; octohost's own is another.
const pool = "10.219.0.0/16"

func open(t testing.TB) *Engine {
	t.Helper()
	e, err := Open(enginetest.Docker(t))
	require.NoError(t, err)
	return e
}

func TestEngine_KeepsTheContract(t *testing.T) {
	enginetest.Run(t, func(t testing.TB) (enginetest.Engine, string) { return open(t), pool })
}
