package story_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// feed runs octo over the local socket with something on its standard input.
func (w *world) feed(stdin string, args ...string) result {
	return w.commandIn(w.dir, stdin, append([]string{octoBinary(w.t)}, args...)...)
}

// variable returns a variable of an app as its process has it.
func (w *world) variable(app, name string) (string, bool) {
	w.t.Helper()
	status, text := w.fileOf(app, "/proc/self/environ")
	require.Equal(w.t, http.StatusOK, status, text)
	for each := range strings.SplitSeq(text, "\x00") {
		if value, ok := strings.CutPrefix(each, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// What is set arrives as it is, byte for byte, by every door and in every format.
func TestConfig_ArrivesByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := map[string]string{
		"QUOTED": `a"b\c  d:1:2:3:4:5:6:7:8:9:10`, "PEM": "-----BEGIN KEY-----\nMIIB\r\n+/==\n-----END KEY-----\n",
		"UTF8": "Grüße, 世界 👋", "SPACES": "  a  ", "EMPTY": "", "SHELL_LIKE": "$HOME `id` $(id) ${X} %s !x #y", "BINARY": string(every),
		"LARGE": strings.Repeat("0123456789abcdef", 256<<10/16),
	}
	w.octo("apps:create", "hello").ok()
	for name, value := range values { // the first release takes what was set before
		w.feed(value, "config:set", name+"=-", "-a", "hello").ok()
	}
	r.deploy("v1")
	arrived := func(w *world, app string) {
		w.t.Helper()
		for name, value := range values {
			file := "/run/octohost/config/" + name
			if name != "BINARY" && name != "LARGE" {
				got, ok := w.variable(app, name)
				require.True(w.t, ok, name)
				require.Equal(w.t, value, got, name)
				continue
			}
			_, ok := w.variable(app, name)
			require.False(w.t, ok, name)
			at, ok := w.variable(app, name+"_FILE")
			require.True(w.t, ok, name)
			require.Equal(w.t, file, at)
			status, got := w.fileOf(app, file)
			require.Equal(w.t, http.StatusOK, status)
			require.True(w.t, value == got, "%s differs", name)
		}
	}
	arrived(w, "hello")
	for name, value := range values {
		require.True(t, value == w.ssher("config:get", name, "-a", "hello").ok(), "%s differs over ssh", name)
	}

	copies := map[string][]string{"by-dotenv": nil, "by-json": {"--format", "json"}}
	for app, format := range copies {
		text := w.octo(append([]string{"config:export", "hello"}, format...)...).ok()
		w.octo("apps:create", app).ok()
		host, port, _ := strings.Cut(w.ssh, ":")
		ssh := append(w.sshOptions("key"), "-p", port, "octo@"+host, "config:import", "-", "-a", app)
		w.commandIn(w.dir, text, ssh...).ok()
		require.Equal(t, w.octo("config:export", "hello").ok(), w.octo("config:export", app).ok())
		w.repo(app).deploy("v1")
		arrived(w, app)
		require.Contains(t, w.octo("config:import", "/dev/stdin", "-a", app).err, "no variable")
	}

	// It is still there when the container is started again, by whomever.
	w.command("sh", "-c", "kill -9 "+strings.TrimSpace(w.docker("inspect", "-f", "{{.State.Pid}}", w.containers("hello")[0]).ok())).ok()
	w.eventually(30*time.Second, "it is back", func() bool { status, _ := w.get("hello.localhost", "/"); return status == http.StatusOK })
	arrived(w, "hello")
}

// Changing it is a rollout like every other, and nobody notices.
func TestConfig_ChangesLoseNoRequest(t *testing.T) {
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	visitors := w.visit("hello.localhost", func(body string) error {
		if !strings.HasPrefix(body, "v") {
			return fmt.Errorf("the answer is %q", body)
		}
		return nil
	})
	for n := range 6 {
		out := w.octo("config:set", fmt.Sprintf("VERSION=v%d", n+2), "SECOND=x", "THIRD=y", "-a", "hello")
		out.ok()
		require.Contains(t, out.err, fmt.Sprintf("hello v%d live", n+2), "several at once make one release")
		_, body := w.get("hello.localhost", "/")
		require.Equal(t, fmt.Sprintf("v%d", n+2), strings.TrimSpace(body), "it is live when the command ends")
	}
	out := w.octo("config:set", "VERSION=v7", "-a", "hello")
	require.Empty(t, out.ok())
	require.Contains(t, out.err, "Nothing to change")

	// What fails changes nothing.
	out = w.octo("config:set", "EXIT_CODE=3", "-a", "hello")
	require.Equal(t, 1, out.code)
	require.Contains(t, out.err, "v7 is still serving")
	require.Contains(t, out.err, "What was set before v8 holds again")
	require.NotContains(t, w.octo("config", "hello").ok(), "EXIT_CODE")
	w.octo("config:unset", "VERSION", "-a", "hello").ok()
	_, body := w.get("hello.localhost", "/")
	require.Equal(t, "v1", strings.TrimSpace(body))

	counts, misses, lost := visitors.stop()
	t.Logf("requests: %v", counts)
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
}

func TestConfig_BelongsToReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	w.octo("config:set", "A=1", "B=1", "-a", "hello").ok()
	w.octo("config:set", "A=2", "-a", "hello").ok()
	w.octo("config:unset", "B", "-a", "hello", "--no-restart").ok()
	has := func(name, want string) {
		t.Helper()
		got, _ := w.variable("hello", name)
		require.Equal(t, want, got, name)
	}
	has("A", "2")
	has("B", "1")
	require.Equal(t, "- B\n", w.octo("config:diff", "-a", "hello").ok())
	r.deploy("v4")
	has("B", "")

	w.octo("rollback", "v2", "-a", "hello").ok()
	has("A", "1")
	has("B", "1")
	require.Equal(t, "A=1\nB=1\n", w.octo("config:export", "hello").ok())
	require.Equal(t, "~ A\n+ B\n", w.octo("config:diff", "v4", "v5", "-a", "hello").ok())
	w.octo("config:set", "C=3", "-a", "hello").ok()
	require.Equal(t, "A=1\nB=1\nC=3\n", w.octo("config:export", "hello").ok())
	var history []octo.ConfigVersion
	w.json(&history, "config:history", "hello")
	require.Len(t, history, 4)
	require.Equal(t, 4, history[0].Number, "no number is used twice")
	require.Equal(t, []int{2, 5}, history[3].Releases)

	// A process cannot be given what is octohost's.
	out := w.octo("config:set", "PORT=1", "-a", "hello")
	require.Equal(t, 2, out.code)
	w.octo("apps:destroy", "hello", "--confirm", "hello").ok()
	w.octo("apps:create", "hello").ok()
	require.Equal(t, "[]\n", w.octo("config:history", "hello", "--json").ok(), "a new app of that name has nothing of it")
	require.Equal(t, 3, w.octo("config:export", "hello", "--at", "c4").code)
}

// Without its key the node serves what runs, says what is wrong, and goes on when the
// file is back.
func TestConfig_LostNodeKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	w.octo("config:set", "A=1", "-a", "hello").ok()
	w.kill(syscall.SIGKILL)
	key, aside := w.path("data/node.key"), w.path("node.key")
	require.NoError(t, os.Rename(key, aside))
	w.start()
	status, _ := w.get("hello.localhost", "/")
	require.Equal(t, http.StatusOK, status)
	for _, args := range [][]string{{"config", "hello"}, {"config:set", "B=2", "-a", "hello"}, {"config:export", "hello"}} {
		out := w.octo(args...)
		require.Equal(t, 1, out.code, args)
		require.Contains(t, out.err, "error: the key of this node is gone")
		require.Contains(t, out.err, "hint:  bring the file back from a backup")
	}
	doctor := w.octo("doctor")
	require.Equal(t, 1, doctor.code)
	require.Contains(t, doctor.out, "the key of this node is gone")
	r.commit("v2")
	push := r.push()
	require.Contains(t, push.fails(), "the key of this node is gone", "at once, and not in the middle of the rollout")
	w.repo("plain").deploy("v1")

	strange := bytes.ReplaceAll(bytes.Repeat([]byte("AAAA"), 11), []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	require.NoError(t, os.WriteFile(key, strange, 0o600))
	require.Contains(t, w.octo("config", "hello").err, "is not the key that the configuration of apps was sealed for")
	require.NoError(t, os.Rename(aside, key))
	require.Equal(t, "1", w.octo("config:get", "A", "-a", "hello").ok())
	r.deploy("v3")

	// And where nobody has a copy.
	w.kill(syscall.SIGKILL)
	require.NoError(t, os.WriteFile(key, []byte("new\n"), 0o600))
	w.start()
	out := w.octo("config:set", "B=2", "-a", "hello")
	require.Equal(t, 1, out.code)
	require.Contains(t, out.err, "was sealed with another data key")
	require.Contains(t, out.err, "octo config:import --replace FILE -a hello")
	w.feed("A=5\n", "config:import", "-", "--replace", "-a", "hello").ok()
	a, _ := w.variable("hello", "A")
	require.Equal(t, "5", a)
}

// The file that an editor has is nobody else's, and gone when the editor is, however
// that ends.
func TestConfig_Edit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.octo("apps:create", "hello").ok()
	w.octo("config:set", "A=1", "SECRET=canary", "-a", "hello").ok()
	private := w.path("private")
	require.NoError(t, os.Mkdir(private, 0o700))
	editor := w.path("editor")
	edit := func(script string) *running {
		require.NoError(t, os.WriteFile(editor, []byte("#!/bin/sh\n"+script), 0o700)) //nolint:gosec // a program
		person := w.with(t, "EDITOR="+editor, "VISUAL=", "XDG_RUNTIME_DIR="+private)
		return person.begin(w.dir, nil, "script", "-qec", octoBinary(t)+" config:edit hello", "/dev/null")
	}
	left := func() []string {
		found, err := filepath.Glob(private + "/*")
		require.NoError(t, err)
		return found
	}
	out := edit(`stat -c "mode %a" "$1"; sed -i 's/^A=1/A=2/' "$1"; cp "$1" "$1~"`).end()
	require.Zero(t, out.code, out.out)
	require.Contains(t, out.out, "mode 600")
	require.Contains(t, out.out, "Set A (c2)")
	require.Equal(t, "A=2\nSECRET=canary\n", w.octo("config:export", "hello").ok())
	require.Empty(t, left(), "nor what the editor left beside it")

	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		running := edit(`sed -i 's/^A=2/A=3/' "$1"; echo "edited below $PPID."; exec sleep 300`)
		running.until("edited below ")
		require.Len(t, left(), 1)
		_, pid, _ := strings.Cut(running.said.String(), "edited below ")
		pid, _, _ = strings.Cut(pid, ".")
		octo, err := strconv.Atoi(pid)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(octo, signal))
		require.NotZero(t, running.end().code, signal)
		require.Empty(t, left(), signal)
	}

	// Somebody else is faster, with another variable and with the same.
	out = edit(octoBinary(t) + ` config:set OTHER=x -a hello; sed -i 's/^A=2/A=4/' "$1"`).end()
	require.Zero(t, out.code, out.out)
	require.Equal(t, "A=4\nOTHER=x\nSECRET=canary\n", w.octo("config:export", "hello").ok())
	out = edit(octoBinary(t) + ` config:set A=theirs -a hello; sed -i 's/^A=4/A=mine/' "$1"`).end()
	require.Equal(t, 1, out.code, out.out)
	require.Contains(t, out.out, "somebody else has changed A while you edited it")
	require.Equal(t, "theirs", w.octo("config:get", "A", "-a", "hello").ok())
}

// On a terminal a value can be typed without being seen.
func TestConfig_AsksOnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.octo("apps:create", "hello").ok()
	ask := func() (*running, *os.File) {
		r, typed, err := os.Pipe()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, typed.Close()) })
		asks := w.begin(w.dir, r, "script", "-qec", "trap : INT; "+octoBinary(t)+" config:set TOKEN=- -a hello; echo exit=$?; stty -a", "/dev/null")
		asks.until("TOKEN (what you type is not shown):")
		return asks, typed
	}
	asks, typed := ask()
	const secret = "top\tsecret: \u00e9"
	_, err := typed.WriteString(secret + "\n")
	require.NoError(t, err)
	out := asks.end()
	require.Contains(t, out.out, "Set TOKEN (c1)")
	require.NotContains(t, out.out, "secret:")
	require.Equal(t, secret, w.octo("config:get", "TOKEN", "-a", "hello").ok())

	asks, typed = ask()
	_, err = typed.WriteString("\x03")
	require.NoError(t, err)
	out = asks.end()
	require.Contains(t, out.out, "exit=130")
	require.Regexp(t, `\becho\b`, out.out, "what is typed next is seen again")
	require.Equal(t, secret, w.octo("config:get", "TOKEN", "-a", "hello").ok())
}
