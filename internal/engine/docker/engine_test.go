package docker

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

var (
	inspectOptions = client.ContainerInspectOptions{}
	volumeOptions  = client.VolumeInspectOptions{}
)

func TestOpen_NeedsNoEngine(t *testing.T) {
	e, err := Open("unix://" + filepath.Join(t.TempDir(), "docker.sock"))
	require.NoError(t, err)
	_, err = e.Info(t.Context())
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "no Docker Engine answers at unix://")
	require.ErrorContains(t, err, "docker") // apt install docker.io, or systemctl start docker
	_, err = e.List(t.Context(), nil)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	_, err = e.Start(t.Context(), engine.Spec{Name: "a", Image: "b"})
	require.ErrorIs(t, err, octo.ErrUnavailable)
	_, err = e.Build(t.Context(), engine.BuildSpec{}, http.NoBody, io.Discard)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	_, err = e.BuildKit(t.Context(), engine.BuildSpec{}, http.NoBody, io.Discard)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.NoError(t, e.Close())

	_, err = Open("nonsense")
	require.Error(t, err)
}

func TestOpen_ReadsTheEnvironment(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/at.sock")
	e, err := Open("")
	require.NoError(t, err)
	require.Equal(t, "unix:///nowhere/at.sock", e.Address())
	t.Setenv("DOCKER_HOST", "")
	e, err = Open("")
	require.NoError(t, err)
	require.Equal(t, "unix:///var/run/docker.sock", e.Address())
}

// An engine that can be lost: the streams of events and their errors.
func TestEvents_BeginAgainWhenTheEngineIsBack(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	serve := func() *httptest.Server {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
		require.NoError(t, err)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			if r.URL.Path != "/v1.41/events" {
				return
			}
			_, _ = io.WriteString(w, `{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"exitCode":"9","name":"n","image":"i","octohost.app":"a"}},"timeNano":1000000001}`+"\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		server.Listener = listener
		server.Start()
		return server
	}
	server := serve()
	e, err := Open("unix://" + socket)
	require.NoError(t, err)
	want := engine.Event{Kind: engine.EventDie, Container: "c1", Labels: map[string]string{"octohost.app": "a"}, ExitCode: 9, Time: time.Unix(1, 1)}
	syncs, dies := 0, 0
	for event, err := range e.Events(t.Context(), nil) {
		switch {
		case err != nil && syncs == 1 && server == nil:
			require.ErrorIs(t, err, octo.ErrUnavailable)
			server = serve()
		case err != nil:
			require.ErrorIs(t, err, octo.ErrUnavailable)
		case event.Kind == engine.EventSync:
			syncs++
		default:
			require.Equal(t, want, event)
			dies++
			if syncs == 1 {
				server.CloseClientConnections()
				server.Close()
				server = nil
			}
		}
		if dies == 2 {
			break
		}
	}
	require.Equal(t, 2, syncs)
	server.CloseClientConnections()
	server.Close()
}

func TestWorkingSet(t *testing.T) {
	for name, c := range map[string]struct {
		usage uint64
		stats map[string]uint64
		want  int64
	}{
		"v1":           {100, map[string]uint64{"total_inactive_file": 30, "inactive_file": 5}, 70},
		"v2":           {100, map[string]uint64{"inactive_file": 30}, 70},
		"none":         {100, nil, 100},
		"more than is": {100, map[string]uint64{"inactive_file": 130}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, workingSet(container.MemoryStats{Usage: c.usage, Stats: c.stats}))
		})
	}
}
