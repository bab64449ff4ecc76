package story_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// keptWorld is an octohost whose door for visitors is kept open by the test, as
// systemd does with octohost.socket.
func keptWorld(t *testing.T) *world {
	t.Helper()
	w := stillWorld(t, "LISTEN_FDS=1", "LISTEN_FDNAMES=http")
	l, err := net.Listen("tcp", w.http)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	file, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	w.files = []*os.File{file}
	w.before = []string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"} // a process only knows its own number
	w.http = "127.0.0.1:1"                                           // not used: nobody could listen there
	w.start()
	w.http = l.Addr().String()
	w.repo("hello").deploy("v1")
	return w
}

// more waits until visitors have made n more requests.
func (v *visitors) more(w *world, n int) {
	w.t.Helper()
	asked := func() (sum int) {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, n := range v.counts {
			sum += n
		}
		return sum
	}
	enough := asked() + n
	w.eventually(30*time.Second, "visitors go on", func() bool { return asked() >= enough })
}

// routed reads from the store, while octo does not run, where an app's requests go.
func (w *world) routed(app octo.Name) []octo.Backend {
	w.t.Helper()
	s, err := bolt.Open(w.path("data/octo.db"))
	require.NoError(w.t, err)
	defer s.Close() //nolint:errcheck // it was only read
	shards, err := store.Docs[[]octo.Route]{Store: s, Prefix: store.RoutesPrefix}.All(context.Background())
	require.NoError(w.t, err)
	for _, shard := range shards {
		for _, r := range shard.Value {
			if r.App == app {
				return r.Backends
			}
		}
	}
	return nil
}

// Whoever visits while octo is restarted waits for a moment, and that is all.
func TestDaemonRestart_LosesNoRequest(t *testing.T) {
	w := keptWorld(t)
	before := w.containers("hello")
	visitors := w.visit("hello.localhost", nil)
	var ending, starting time.Duration
	for range 4 {
		visitors.more(w, 200)
		began := time.Now()
		w.kill(syscall.SIGTERM)
		require.NoError(t, w.daemon.err, "it ends in peace")
		ended := time.Now()
		require.Len(t, w.routed("hello"), 1, "that it ends is no reason to take routes away")
		w.start()
		ending, starting = max(ending, ended.Sub(began)), max(starting, time.Since(ended))
	}
	counts, misses, lost := visitors.stop()
	t.Logf("4 restarts: octo ended within %s, answered within %s; requests %v, %d lost; slowest %s",
		ending.Round(time.Millisecond), starting.Round(time.Millisecond), counts, misses, visitors.slowest.Round(time.Millisecond))
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
	require.Equal(t, before, w.containers("hello"), "the containers did not notice")
}

// When octo is killed, what is on its way at that moment is lost, and nothing else.
func TestDaemonRestart_KilledLosesOnlyWhatIsUnderWay(t *testing.T) {
	w := keptWorld(t)
	visitors := w.visit("hello.localhost", nil)
	for range 3 {
		visitors.more(w, 100)
		w.kill(syscall.SIGKILL)
		killed := time.Now()
		w.start()
		w.eventually(10*time.Second, "visitors are served", func() bool {
			status, _ := w.get("hello.localhost", "/")
			return status == http.StatusOK
		})
		visitors.mu.Lock()
		for _, at := range visitors.missed {
			require.True(t, at.Before(killed), "a request that was sent %s after the death was lost: %v", at.Sub(killed), visitors.lost)
		}
		visitors.mu.Unlock()
	}
	counts, misses, lost := visitors.stop()
	t.Logf("3 kills: requests %v, %d lost that were under way; slowest %s\n%s",
		counts, misses, visitors.slowest.Round(time.Millisecond), strings.Join(lost, "\n"))
	require.LessOrEqual(t, misses, 3*6, "one for each visitor")
}

// However soon octo is stopped after a start, it leaves the routes as they are, and the
// next one serves from its first moment on.
func TestDaemonRestart_KeepsItsRoutes(t *testing.T) {
	w := keptWorld(t)
	for range 10 {
		w.kill(syscall.SIGTERM)
		require.Len(t, w.routed("hello"), 1)
		w.launch()
		status, body := w.get("hello.localhost", "/") // waits in the door
		require.Equal(t, http.StatusOK, status, body)
	}
}
