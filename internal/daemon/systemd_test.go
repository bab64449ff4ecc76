package daemon

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestListenAddress(t *testing.T) {
	for want, said := range map[string]string{
		"[::]:80":      "Listen=[::]:80 (Stream)\nActiveState=active\n",
		"0.0.0.0:8080": "ActiveState=active\nListen=0.0.0.0:8080 (Stream)\n",
		"":             "ActiveState=inactive\nListen=[::]:80 (Stream)\n",
	} {
		require.Equal(t, want, listenAddress(said))
	}
	require.Empty(t, listenAddress(""))
	require.Empty(t, listenAddress("ActiveState=active\n"))
}

// A port that systemd keeps for octo is not in use by another program.
func TestDoctor_APortThatSystemdKeeps(t *testing.T) {
	p := &patient{settings: Defaults(), held: "[::]:80"}
	f := checkPort(t.Context(), p, "http", ":80")
	require.Equal(t, octo.FindingOK, f.Level)
	require.Equal(t, "systemd keeps [::]:80 open (octohost.socket): visitors wait until octo is started", f.Message)
	require.Equal(t, octo.FindingOK, checkPort(t.Context(), p, "http", p.settings.HTTP).Level, "nobody has said another")
	f = checkPort(t.Context(), p, "http", ":8080")
	require.Equal(t, octo.FindingWarning, f.Level)
	require.Contains(t, f.Message, "listening on [::]:80")
	f = checkDaemon(t.Context(), p)
	require.Equal(t, octo.FindingProblem, f.Level)
	require.Contains(t, f.Remedy, "systemctl stop octohost.socket octohost")
}
