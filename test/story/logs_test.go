package story_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// logLines reads an app's log.
func (w *world) logLines(args ...string) (lines []octo.LogLine) {
	w.t.Helper()
	return decodeLines(w.t, w.octo(append([]string{"logs", "-n", "100000", "--json"}, args...)...).ok())
}

func decodeLines(t *testing.T, text string) (lines []octo.LogLine) {
	t.Helper()
	in := bufio.NewScanner(strings.NewReader(text))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var l octo.LogLine
		require.NoError(t, json.Unmarshal(in.Bytes(), &l), "%s", in.Text())
		lines = append(lines, l)
	}
	return lines
}

// counted checks that nothing of what instances counted (COUNT, package webapp) is
// missing or twice, and returns how often each of them began, and up to which number
// each has said at its end to have counted.
func counted(t *testing.T, lines []octo.LogLine) (began map[string]int, ended map[string]int) {
	t.Helper()
	began, ended = map[string]int{}, map[string]int{}
	next := map[string]int{}
	for _, l := range lines {
		stream, number, _ := strings.Cut(l.Text, " ")
		who := fmt.Sprintf("%s %s", l.Instance, stream)
		n, err := strconv.Atoi(number)
		if stream == "counted" {
			_, err = fmt.Sscanf(number, "out to %d", &n)
			who = string(l.Instance) + " out"
			if err != nil {
				_, err = fmt.Sscanf(number, "err to %d", &n)
				who = string(l.Instance) + " err"
			}
			require.NoError(t, err, l.Text)
			require.Equal(t, next[who]-1, n, "%s said at its end", who)
			ended[who] = n
			continue
		}
		if l.Source != octo.LogApp || err != nil || stream != "out" && stream != "err" {
			continue
		}
		require.Equal(t, l.Stderr, stream == "err")
		if n == 0 {
			began[who]++
		} else {
			require.Equal(t, next[who], n, "%s: after %d comes %d", who, next[who]-1, n)
		}
		next[who] = n + 1
	}
	return began, ended
}

// What apps print outlives their containers and our restarts, whole and once; whoever
// follows misses nothing of a deploy.
func TestLogs_NothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "COUNT=10ms", "VERSION=v1")
	r.write("octohost.toml", "[processes.web]\n[processes.worker]\ncommand = \"/testapp\"\ncount = 1\n")
	r.deploy("v1")
	follower := w.begin(w.dir, nil, octoBinary(t), "logs", "hello", "-f", "-n", "100000", "--json")
	follower.until("out 5")
	for _, version := range []string{"v2", "v3"} {
		r.write("Dockerfile", hello("COUNT=10ms", "VERSION="+version))
		r.deploy(version)
	}
	w.eventually(60*time.Second, "the old containers are gone", func() bool { return len(w.containers("hello")) == 2 })
	w.logged("v3 has counted", 20, "--release", "v3", "--ps", "web")
	follower.signal(syscall.SIGINT)
	follower.end()
	began, ended := counted(t, decodeLines(t, follower.said.String()))
	require.Len(t, began, 12, "two streams of two processes in three releases: %v", began)
	require.Len(t, ended, 8, "those of the first two have ended: %v", ended)

	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		w.kill(how)
		w.start()
		w.logged("more is counted", 50, "--since", "0s", "--release", "v3")
	}
	lines := w.logLines("hello")
	began, ended = counted(t, lines)
	for who, times := range began {
		require.Equal(t, 1, times, who)
	}
	require.Len(t, began, 12)
	require.Len(t, ended, 8)
	var events []string
	for _, l := range lines {
		if l.Source == octo.LogOctohost {
			events = append(events, string(l.Event))
		}
	}
	require.Equal(t, []string{"app.created", "release.created", "release.live", "release.created", "release.live", "release.created", "release.live"}, events)
	require.Empty(t, w.logLines("hello", "--release", "v1", "--since", "0s"))
	for _, l := range w.logLines("hello", "--release", "v1", "--ps", "worker.1") {
		require.Equal(t, octo.InstanceID("hello.worker.v1.1"), l.Instance)
	}
}

// logged waits until a query has at least n lines from now on.
func (w *world) logged(what string, n int, args ...string) {
	w.t.Helper()
	now := time.Now().UTC().Format(time.RFC3339)
	for i, a := range args {
		if a == "0s" {
			args[i] = now
		}
	}
	w.eventually(60*time.Second, what, func() bool { return len(w.logLines(append(args, "hello")...)) >= n })
}

// An engine that is restarted, or killed, costs no line but those that it has lost
// itself.
func TestLogs_ARestartOfDockerLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	w := m.world()
	w.repo("hello", "COUNT=10ms").deploy("v1")
	w.logged("something is counted", 50)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		m.stopEngine(signal)
		m.startEngine()
		w.logged("it counts again", 50, "--since", "0s", "--source", "app")
	}
	began, _ := counted(t, w.logLines("hello"))
	for who, times := range began {
		require.LessOrEqual(t, times, 4, who)
		require.Greater(t, times, 1, who)
	}
	var down []string
	for _, l := range w.logLines("hello", "--source", "octohost") {
		if l.Event == octo.EventInstanceDown {
			down = append(down, l.Text)
		}
	}
	for _, text := range down {
		require.NotContains(t, text, "exited", "it was the engine's doing")
	}
}

// One id leads from a visitor's error page to what the router and the app said about
// the request.
func TestLogs_OneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	for _, path := range []string{"/log?text=asked+by+{id}&token=secret", "/"} {
		status, body := w.get("hello.localhost", path)
		require.Equal(t, http.StatusOK, status, body)
	}
	var line string
	w.eventually(10*time.Second, "both lines are there", func() bool {
		asked := regexp.MustCompile(`asked by (\S+)`).FindStringSubmatch(w.octo("logs", "hello", "--ps", "web").ok())
		if asked == nil {
			return false
		}
		line = w.octo("logs", "hello", "--request-id", asked[1]).ok()
		return strings.Count(line, asked[1]) == 2
	})
	require.Contains(t, line, "app[web.1]: asked by ")
	require.Regexp(t, `octo\[router\]: at=info method=GET path="/log" host=hello.localhost request_id=\S+ fwd="127.0.0.1" dyno=web.1 connect=\d+ms service=\d+ms status=200 bytes=0\n`, line)
	require.NotContains(t, w.octo("logs", "hello", "-n", "1000").ok(), "secret")

	broken := make(chan bool, 1)
	go func() { // ends with the container
		w.get("hello.localhost", "/slow?for=60s")
		broken <- true
	}()
	w.eventually(20*time.Second, "the app answers", func() bool { return w.inFlight("hello") > 0 })
	w.docker(append([]string{"kill"}, w.containers("hello")...)...).ok()
	<-broken
	w.eventually(20*time.Second, "the crash is told", func() bool {
		said := w.octo("logs", "hello", "-n", "1000").ok()
		return strings.Contains(said, `octo[router]: at=error code=crashed desc="the app broke off its answer" method=GET path="/slow"`) &&
			strings.Contains(said, "octo[instance]: hello.web.v1.1: web exited with code 137")
	})
}

// What a detached run prints is in the app's log, also when the run is gone.
func TestLogs_RunsSpeakToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	w.octo("run:detached", "-a", "hello", "--", "/testapp", "say", "migrating", "migrated").ok()
	var name []string
	w.eventually(20*time.Second, "it has spoken", func() bool {
		name = regexp.MustCompile(`app\[(run\.\w+)\]: migrated\n`).FindStringSubmatch(w.octo("logs", "hello").ok())
		return name != nil
	})
	w.octo("run:stop", name[1], "-a", "hello").ok()
	require.Len(t, w.logLines("hello", "--ps", name[1]), 2)
}

// An app that is destroyed takes its log along; the next one of its name has its own.
func TestLogs_GoWithTheirApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello", "LOG=the first").deploy("v1")
	w.logged("it has said something", 1, "--grep", "the first")
	follower := w.begin(w.dir, nil, octoBinary(t), "logs", "hello", "-f")
	follower.until("the first")
	w.octo("apps:destroy", "hello", "--confirm", "hello").ok()
	select {
	case <-follower.done:
	case <-time.After(20 * time.Second):
		t.Fatal("it still follows what is gone")
	}
	require.NoDirExists(t, w.path("data/logs/hello"))
	require.NoError(t, os.RemoveAll(w.path("src-hello")))
	w.repo("hello", "LOG=the second").deploy("v1")
	w.logged("the other speaks", 1, "--grep", "the second")
	require.NotContains(t, w.octo("logs", "hello", "-n", "1000").ok(), "the first")
}

// An app that prints as fast as it can slows down neither another app, nor octohost,
// nor fills the disk or the memory; and its log says what it lacks.
func TestLogs_AFlood(t *testing.T) {
	w := stillWorld(t)
	require.NoError(t, os.WriteFile(w.path("octo.toml"), []byte("[logs]\nsize = \"4MiB\"\n"), 0o600))
	w.start()
	w.repo("loud").deploy("v1")
	w.repo("quiet").deploy("v1")
	flooded := make(chan string, 1)
	go func() { // ends with the flood
		_, body := w.get("loud.localhost", "/flood?for=8s")
		flooded <- body
	}()
	var slowest time.Duration
	asked := 0
	for done := false; !done; asked++ {
		began := time.Now()
		status, _ := w.get("quiet.localhost", "/log?text=still+here")
		require.Equal(t, http.StatusOK, status)
		slowest = max(slowest, time.Since(began))
		select {
		case n := <-flooded:
			t.Logf("%s lines printed", strings.TrimSpace(n))
			done = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Logf("%d requests of the other app meanwhile, the slowest in %s; octo has %d MiB", asked, slowest.Round(time.Millisecond), w.memory()>>20)
	require.Less(t, slowest, 2*time.Second)
	require.Less(t, w.memory(), int64(250<<20))
	var size int64
	for _, path := range globbed(t, w.path("data/logs/loud/*")) {
		st, err := os.Stat(path)
		require.NoError(t, err)
		size += st.Size()
	}
	require.LessOrEqual(t, size, int64(4<<20))
	w.eventually(20*time.Second, "the log says what it lacks", func() bool {
		said := w.octo("logs", "loud", "--ps", "octohost").ok()
		return regexp.MustCompile(`octohost dropped \d+ lines of web.1`).MatchString(said)
	})
	w.eventually(20*time.Second, "the other's log has all", func() bool {
		return strings.Count(w.octo("logs", "quiet", "-n", "10000", "--ps", "web").ok(), "still here") == asked
	})
}

func globbed(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return paths
}

// memory returns how much of the machine's the daemon has, in bytes.
func (w *world) memory() int64 {
	w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.daemon.cmd.Process.Pid))
	require.NoError(w.t, err)
	kb := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(w.t, kb)
	n, err := strconv.ParseInt(string(kb[1]), 10, 64)
	require.NoError(w.t, err)
	return n << 10
}
