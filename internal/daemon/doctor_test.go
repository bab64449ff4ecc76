package daemon_test

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/daemon"
	"github.com/octohost/octohost/internal/octo"
)

func findings(t *testing.T, change func(*daemon.Settings)) map[string]octo.Finding {
	t.Helper()
	s := daemon.Defaults()
	s.Data = filepath.Join(t.TempDir(), "data")
	change(&s)
	found := map[string]octo.Finding{}
	for _, f := range daemon.Doctor(t.Context(), s) {
		require.NotEmpty(t, f.Message, f.Check)
		found[f.Check] = f
	}
	return found
}

func TestDoctor_SeesWhatIsWrongAndHowToMendIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close() //nolint:errcheck // a test's
	found := findings(t, func(s *daemon.Settings) {
		s.HTTP, s.SSH = taken.Addr().String(), "127.0.0.1:0"
		s.Engine = "unix://" + filepath.Join(s.Data, "no-docker.sock")
		s.DiskFloor = 1 << 60
		s.Data = "/"
	})
	for _, check := range []string{"daemon", "engine", "disk", "http port", "data"} {
		require.Equal(t, octo.FindingProblem, found[check].Level, "%s: %+v", check, found[check])
		require.NotEmpty(t, found[check].Remedy, check)
	}
	require.Contains(t, found["http port"].Message, "in use")
	require.Equal(t, octo.FindingOK, found["ssh port"].Level)
	require.Equal(t, octo.FindingOK, found["git"].Level)
}

func TestDoctor_LoopbackIsOnlyAWarning(t *testing.T) {
	found := findings(t, func(s *daemon.Settings) { s.HTTP, s.SSH = "127.0.0.1:0", "127.0.0.1:0" })
	require.Equal(t, octo.FindingWarning, found["dns"].Level)
	require.Equal(t, octo.FindingOK, found["http port"].Level)
}
