package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/daemon"
	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
)

func load(t *testing.T, text string, env map[string]string, flags func(*daemon.Settings)) (daemon.Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "octo.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return daemon.Load(path, func(name string) string { return env[name] }, flags)
}

func nothing(*daemon.Settings) {}

func TestLoad_EachGoesOverTheOneBefore(t *testing.T) {
	s, err := load(t, "", nil, nothing)
	require.NoError(t, err)
	require.Equal(t, daemon.Defaults(), s)
	require.Equal(t, "127.0.0.1:8080", s.HTTP, "nothing is open by itself")
	require.Equal(t, "127.0.0.1:2222", s.SSH)

	s, err = load(t, "http = \":80\"\nssh = \":22\"\ndisk_floor = \"5GiB\"\n[build]\nbuilder = \"classic\"\n[git]\nmax_push = \"10M\"",
		map[string]string{"OCTO_SSH": ":2022", "OCTO_DISK_FLOOR": "2G"}, func(s *daemon.Settings) { s.Domain = "example.org" })
	require.NoError(t, err)
	require.Equal(t, ":80", s.HTTP)
	require.Equal(t, ":2022", s.SSH)
	require.Equal(t, octo.Size(2<<30), s.DiskFloor)
	require.Equal(t, "example.org", s.Domain)
	require.Equal(t, "classic", s.Build.Builder)
	require.Equal(t, octo.Size(10<<20), s.Git.MaxPush)
}

func TestLoad_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		text string
		env  map[string]string
		want string
	}{
		{"htpp = \":80\"", nil, `octo.toml:1: unknown key "htpp"; did you mean "http"?`},
		{"[build]\nslots = 0", nil, "build.slots must be at least 1"},
		{"[build]\nbuilder = \"podman\"", nil, "auto, classic or buildkit"},
		{"data = \"here\"", nil, "absolute path"},
		{"log_level = \"loud\"", nil, "debug, info, warn or error"},
		{"domain = \"http://example.org\"", nil, "bare host name"},
		{"keep_releases = 0", nil, "at least 1"},
		{"release_timeout = \"0s\"", nil, "longer than nothing"},
		{"release_timeout = \"soon\"", nil, "is not a duration"},
		{"networks = []", nil, "networks is empty"},
		{"disk_floor = true", nil, "octo.toml"},
		{"", map[string]string{"OCTO_DISK_FLOOR": "much"}, "OCTO_DISK_FLOOR"},
	} {
		_, err := load(t, c.text, c.env, nothing)
		require.ErrorIs(t, err, octo.ErrInvalid, c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
	_, err := daemon.Load(filepath.Join(t.TempDir(), "none.toml"), func(string) string { return "" }, nothing)
	require.ErrorContains(t, err, "cannot read the configuration", "a file that was named must be there")
}

func FuzzSettings(f *testing.F) {
	f.Add("http = \":80\"\n[build]\nslots = 2")
	f.Fuzz(func(t *testing.T, text string) {
		var s daemon.Settings
		if err := manifest.Decode("octo.toml", []byte(text), &s); err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
		}
	})
}
