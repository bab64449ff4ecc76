package story_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// door is one of the ways in which a person reaches an octohost.
type door struct {
	name string
	w    *world
	args []string // what comes before the command
}

// run runs a command line.
func (d door) run(line string) result { return d.feed("", line) }

// feed runs a command line with something on its stdin.
func (d door) feed(stdin, line string) result {
	return d.w.commandIn(d.w.dir, stdin, slices.Concat(d.args, strings.Fields(line))...)
}

// laptop returns the world as somebody has it far away: an octo without a socket, and
// an ssh that knows which key to use.
func (w *world) laptop() *world {
	w.t.Helper()
	ssh, err := exec.LookPath("ssh")
	require.NoError(w.t, err)
	script := "#!/bin/sh\nexec " + ssh + " " + strings.Join(w.sshOptions("key")[1:], " ") + " \"$@\"\n"
	require.NoError(w.t, os.MkdirAll(w.path("laptop"), 0o700))
	require.NoError(w.t, os.WriteFile(w.path("laptop/ssh"), []byte(script), 0o700)) //nolint:gosec // a program
	return w.with(w.t, "OCTO_SOCKET=", "PATH="+w.path("laptop")+":"+os.Getenv("PATH"))
}

// doors returns every way in.
func (w *world) doors() []door {
	w.t.Helper()
	octo, laptop := octoBinary(w.t), w.laptop()
	laptop.command(octo, "remote:add", "story", "ssh://octo@"+w.ssh).ok()
	return []door{
		{"socket", w, []string{octo}},
		{"ssh", w, append(w.sshOptions("key"), "-p", w.sshPort(), "octo@127.0.0.1")},
		{"host", laptop, []string{octo, "--host", "ssh://octo@" + w.ssh}},
		{"remote", laptop, []string{octo}},
	}
}

// space is the other form of a command line: apps:info is apps info.
func space(line string) string { return strings.Replace(line, ":", " ", 1) }

// Every command is there at every door, in both forms, and says the same.
func TestCLI_EveryCommandAtEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.deploy("v2")
	w.octo("config:set", "GREETING=hello world", "-a", "hello").ok()
	doors := w.doors()
	for _, line := range []string{
		"config hello --json", "config hello --reveal --json", "config:get GREETING -a hello", "config:get GREETING -a hello --json", "config:export hello",
		"config:export hello --format json", "config:history hello --json", "config:diff v2 v3 -a hello --json", "config:diff c0 -a hello --reveal --json",
		"apps --json", "apps:info hello --json", "apps:info -a hello --json", "releases hello --json", "releases -a hello --json",
		"releases:info v1 -a hello --json", "keys --json", "events --json", "events hello -n 3 --json", "logs hello -n 2 --json",
		"open hello", "open -a hello",
	} {
		want := doors[0].run(line).ok()
		require.NotEmpty(t, want, line)
		for _, d := range doors {
			require.Equal(t, want, d.run(line).ok(), "%s: %s", d.name, line)
			require.Equal(t, want, d.run(space(line)).ok(), "%s: %s", d.name, space(line))
		}
		if strings.HasSuffix(line, "--json") {
			validJSON(t, line, want)
		}
	}
	for _, line := range []string{"ps --json", "ps hello --json", "doctor --json", "version --json", "version --server --json"} {
		for _, d := range doors { // what differs from moment to moment, or from place to place
			out := d.run(line)
			require.Contains(t, []int{0, 1}, out.code)
			validJSON(t, d.name+": "+line, out.out)
		}
	}
	for _, line := range []string{"apps", "apps:info hello", "ps", "ps hello", "releases hello", "releases:info v1 -a hello", "keys", "events", "logs hello", "doctor", "version", "help"} {
		for _, d := range doors { // for people
			out := d.run(line)
			require.Contains(t, []int{0, 1}, out.code, line)
			require.NotEmpty(t, out.out, "%s: %s", d.name, line)
			require.NotContains(t, out.out, "\x1b", "NO_COLOR is set, and this is no terminal")
			require.NotContains(t, out.out, "{\"")
		}
	}
}

// validJSON checks that text is one value of JSON, or one on each line.
func validJSON(t *testing.T, what, text string) {
	t.Helper()
	if json.Valid([]byte(text)) {
		return
	}
	for line := range strings.Lines(text) {
		require.True(t, json.Valid([]byte(line)), "%s: %q", what, line)
	}
}

// What changes something works at every door, too.
func TestCLI_ChangesAtEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.deploy("v2")
	for i, d := range w.doors() {
		for _, form := range []func(string) string{strings.Clone, space} {
			require.Equal(t, "created fresh\n", d.run(form("apps:create fresh")).ok(), d.name)
			out := d.run(form("apps:create fresh"))
			require.Equal(t, 1, out.code, d.name)
			out.says("error: the name fresh is taken", "hint:  choose another name")
			require.Equal(t, "destroyed fresh\n", d.run(form("apps:destroy fresh --confirm fresh")).ok(), d.name)

			w.newKey(fmt.Sprintf("guest%d", i))
			public, err := os.ReadFile(w.path(fmt.Sprintf("guest%d.pub", i)))
			require.NoError(t, err)
			out = d.feed(string(public), form("keys:add - --user guest"))
			require.Regexp(t, `^admitted guest \(SHA256:\S+\)\n$`, out.ok(), d.name)
			print := out.out[strings.Index(out.out, "SHA256:") : len(out.out)-2]
			require.Equal(t, 1, d.feed(string(public), form("keys:add - --user guest")).code, "it is there already")
			require.Equal(t, "removed "+print+"\n", d.run(form("keys:remove "+print)).ok(), d.name)
			require.Equal(t, 3, d.run(form("keys:remove "+print)).code)
			require.NoError(t, os.Remove(w.path(fmt.Sprintf("guest%d", i))))
			require.NoError(t, os.Remove(w.path(fmt.Sprintf("guest%d.pub", i))))
		}
		want := []string{"v1", "v2"}[i%2]
		out := d.run("rollback " + want + " -a hello")
		out.ok()
		out.says("-----> Rolling hello back to " + want)
		_, body := w.get("hello.localhost", "/")
		require.Equal(t, want, strings.TrimSpace(body), d.name)
	}
}

// The exit code says what kind of failure it was, at every door alike.
func TestCLI_ExitCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	bob := w.as("bob")
	for _, d := range w.doors() {
		for line, code := range map[string]int{
			"apps": 0, "rollback -a hello": 3, "rollback v9 -a hello": 3, "rollback v1 v2 -a hello": 2,
			"apps:create hello": 1, "apps:create Hello": 2, "apps:info": 2, "apps:info nothing": 3, "apps --frobnicate": 2, "frobnicate": 2,
			"logs hello -n many": 2, "releases:info x -a hello": 2, "apps:destroy hello": 2, "help frobnicate": 2, "open hello --json": 2,
		} {
			out := d.run(line)
			require.Equal(t, code, out.code, "%s: %s\n%s", d.name, line, out.err)
			if code != 0 {
				require.Contains(t, out.err, "error: ")
				require.Empty(t, out.out, "%s: %s", d.name, line)
			}
		}
	}
	require.Equal(t, 4, bob.sshAs("bob", "users").code)
	laptop := w.laptop()
	gone := laptop.command(octoBinary(t), "--host", "ssh://octo@127.0.0.1:1", "apps")
	require.Equal(t, 1, gone.code)
	gone.says("error: nothing listens at 127.0.0.1:1", "hint:  is octo serve running there, and is that the port of its --ssh?")
	gone = w.with(t, "OCTO_SOCKET=/nonexistent/octo.sock").octo("apps")
	require.Equal(t, 1, gone.code)
	require.Contains(t, gone.err, "hint:  ")
	stranger := w.with(t, "OCTO_SOCKET=", "OCTO_SSH_PROGRAM="+w.path("laptop/stranger"))
	w.newKey("stranger-key")
	script := "#!/bin/sh\nexec " + strings.Join(w.sshOptions("stranger-key"), " ") + " \"$@\"\n"
	require.NoError(t, os.WriteFile(w.path("laptop/stranger"), []byte(script), 0o700)) //nolint:gosec // a program
	out := stranger.octo("--host", "ssh://octo@"+w.ssh, "apps")
	require.Equal(t, 4, out.code)
	out.says("error: "+w.ssh+" does not know your key", "hint:  an admin of it admits you with: octo keys:add, and your ~/.ssh/id_ed25519.pub")
}

// In the directory of a repository nothing needs to be named.
func TestCLI_InTheRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	laptop := w.laptop()
	for _, args := range [][]string{{"apps:info"}, {"ps"}, {"logs"}, {"releases"}, {"open"}, {"events"}} {
		out := laptop.commandIn(r.dir, "", append([]string{octoBinary(t)}, args...)...)
		out.ok()
		require.NotEmpty(t, out.out, "%v", args)
	}
	require.Equal(t, "http://hello.localhost:"+strings.Split(w.http, ":")[1]+"\n", laptop.commandIn(r.dir, "", octoBinary(t), "open").ok())
	out := laptop.command(octoBinary(t), "ps", "-a", "hello") // elsewhere, nothing says where
	require.NotZero(t, out.code)
}

// A stream ends quietly when nobody reads it any more, and on Ctrl-C.
func TestCLI_StreamsEndQuietly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "LOG=first|second|third")
	r.deploy("v1")
	for _, d := range w.doors() {
		line := strings.Join(d.args, " ")
		for command, says := range map[string]string{"logs -f --source app -a hello": "app[web.1]", "events -f hello": "app.created"} {
			if d.name == "ssh" {
				continue // ssh tells only an OpenSSH server that its reader has gone
			}
			pipe := d.w.begin(d.w.dir, nil, "bash", "-c", line+" "+command+" | head -n 1; exit ${PIPESTATUS[0]}")
			pipe.until(says)
			w.eventually(20*time.Second, d.name+": "+command+" ends when it finds nobody", func() bool {
				w.get("hello.localhost", "/log?text=more")
				w.octo("rollback", "v1", "-a", "hello").ok()
				return pipe.ended()
			})
			out := pipe.end()
			require.Contains(t, []int{0, 128 + int(syscall.SIGPIPE)}, out.code, "%s: %s", d.name, command)
			require.Equal(t, 1, strings.Count(out.out, "\n"), "%s", out.out)
		}
		follow := d.w.begin(d.w.dir, nil, append(slices.Clone(d.args), "logs", "-f", "-a", "hello")...)
		follow.until("app[web.1]")
		follow.signal(syscall.SIGINT)
		out := follow.end()
		require.NotContains(t, out.out, "error")
		if d.name != "ssh" { // that ends as ssh does
			require.Equal(t, 130, out.code, d.name)
		}
	}
}

// With a terminal there are colours, unless somebody does not want them, and Ctrl-C
// comes as a character.
func TestCLI_OnATerminal(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script") // of util-linux: gives a command a terminal
	if err != nil {
		t.Skip(err)
	}
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	apps := []string{script, "-qec", octoBinary(t) + " apps", "/dev/null"}
	require.Contains(t, w.with(t, "NO_COLOR=", "TERM=xterm").command(apps...).ok(), "\x1b[")
	require.NotContains(t, w.with(t, "TERM=xterm").command(apps...).ok(), "\x1b[", "NO_COLOR")
	require.NotContains(t, w.with(t, "NO_COLOR=", "TERM=dumb").command(apps...).ok(), "\x1b[")

	ssh := strings.Join(append(w.sshOptions("key"), "-tt", "-p", w.sshPort(), "octo@127.0.0.1", "logs", "-f", "hello"), " ")
	r, typed, err := os.Pipe()
	require.NoError(t, err)
	follow := w.begin(w.dir, r, "sh", "-c", ssh)
	follow.until("listening on")
	_, err = typed.WriteString("\x03")
	require.NoError(t, err)
	require.Equal(t, 130, follow.end().code)
	require.NoError(t, typed.Close())
}

func TestCLI_CompletionAndHelp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.octo("apps:create", "hello").ok()
	w.octo("apps:create", "goodbye").ok()
	doors := w.doors()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		require.Contains(t, doors[0].run("completion "+shell).ok(), "octo")
	}
	for _, d := range doors {
		if d.name == "ssh" {
			continue // completion is asked on one's own machine
		}
		args := append(slices.Clone(d.args[:1]), append([]string{"__complete"}, d.args[1:]...)...)
		out := d.w.command(append(args, "apps:info", "")...).ok()
		require.Contains(t, out, "hello\n", d.name)
		require.Contains(t, out, "goodbye\n", d.name)
		out = d.w.command(append(args, "logs", "-a", "he")...).ok()
		require.Contains(t, out, "hello\n", d.name)
	}
	for _, d := range doors {
		commands := map[string]bool{}
		for line := range strings.Lines(d.run("help").ok()) {
			if fields := strings.Fields(line); strings.HasPrefix(line, "  ") && len(fields) > 1 && !strings.HasPrefix(fields[0], "-") && fields[0] != "octo" {
				commands[fields[0]] = true
			}
		}
		require.Greater(t, len(commands), 12, d.name)
		for _, command := range slices.Sorted(maps.Keys(commands)) {
			help := d.run("help " + command).ok()
			require.Contains(t, help, "Examples:\n  octo ", "%s: %s", d.name, command)
			require.Equal(t, help, d.run(space(command)+" --help").ok(), "%s: %s", d.name, command)
		}
	}
}
