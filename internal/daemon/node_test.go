package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNodeName_StaysWhenTheHostNameChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node")
	name, err := nodeName(Settings{}, path)
	require.NoError(t, err)
	require.Equal(t, hostName(), name)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, name+"\n", string(kept))

	require.NoError(t, os.WriteFile(path, []byte("as-it-was\n"), 0o600))
	name, err = nodeName(Settings{}, path)
	require.NoError(t, err)
	require.Equal(t, "as-it-was", name)
	name, err = nodeName(Settings{Node: "said"}, path)
	require.NoError(t, err)
	require.Equal(t, "said", name, "what somebody says goes over it")
	_, err = nodeName(Settings{}, filepath.Dir(path))
	require.Error(t, err)
}
