package story_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// shelled makes a repository whose image has a shell besides the test program, and
// puts it live.
func (w *world) shelled(app string) *repo {
	w.t.Helper()
	r := w.repo(app)
	files, lines := enginetest.Shell(w.t)
	for path, text := range files {
		r.write(path, text)
		require.NoError(w.t, os.Chmod(r.dir+"/"+path, 0o755)) //nolint:gosec // programs and libraries
	}
	r.write("Dockerfile", strings.Replace(hello(), "EXPOSE", lines+"ENV PATH=/bin\nEXPOSE", 1))
	r.deploy("v1")
	return r
}

// runs returns what docker has of an app's runs, by state.
func (w *world) runs(app string) []string {
	return strings.Fields(w.docker("ps", "-a", "--format", "{{.State}}", "--filter", "label=octohost.host="+w.host(),
		"--filter", "label=octohost.app="+app, "--filter", "label=octohost.oneoff=run").ok())
}

// noRuns waits until nothing is left of an app's runs.
func (w *world) noRuns(app string, limit time.Duration) {
	w.t.Helper()
	w.eventually(limit, "nothing is left of runs of "+app, func() bool { return len(w.runs(app)) == 0 })
}

// What a program does is what octo does, at every door: input, output, errors, exit
// code, to the byte.
func TestRun_AtEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shelled("hello")
	binary := "a\x00b\xff\r\nlast" + strings.Repeat("x", 100_000)
	for _, d := range w.doors() {
		require.Equal(t, binary, d.feed(binary, "run hello -- /testapp cat").ok(), d.name)
		require.Equal(t, "one\ntwo\n", d.run("run -a hello /testapp say one two").ok(), d.name)
		out := d.run("run hello -- /testapp complain aside")
		require.Empty(t, out.ok(), d.name)
		require.Equal(t, "aside\n", out.err, d.name)
		require.Equal(t, 7, d.run("run hello -- /testapp exit 7").code, d.name)
		require.Equal(t, "A=b\nOCTOHOST_RELEASE=v1\nPORT=5000\n", d.run("run -a hello -e A=b -- /testapp env A OCTOHOST_RELEASE PORT").ok(), d.name)
		out = d.run("run hello nosuch")
		require.Equal(t, 127, out.code, d.name)
		out.says("error: there is no nosuch in the image of hello")
		out = d.run("run nothing -- true")
		require.Equal(t, 3, out.code, d.name)
		out.says("error: no app named nothing")
		require.Equal(t, 2, d.run("run hello").code, d.name)
	}
	require.Equal(t, 143, w.octo("run", "hello", "--", "sh", "-c", "kill -TERM $$").code)
	require.Equal(t, 139, w.octo("run", "hello", "--", "sh", "-c", "kill -SEGV $$").code)
	out := w.octo("run", "--memory", "32M", "hello", "--", "/testapp", "eat")
	require.Equal(t, 137, out.code)
	require.Regexp(t, `error: run\.\w+ was killed: it used more than its 32\.0 MiB of memory`, out.err)
	w.noRuns("hello", 20*time.Second)
	w.octo("apps:create", "empty").ok()
	out = w.octo("run", "empty", "--", "true")
	require.Equal(t, 1, out.code)
	out.says("error: empty has no release yet, so there is nothing to run", "hint:  make one with: git push octo main")
}

// on is a command on a terminal, as a person has it before them.
type on struct {
	w    *world
	cmd  *exec.Cmd
	tty  *os.File // the person's side
	seen *said
	done chan struct{}
}

// sit runs a command on a terminal of 101 columns and 33 rows.
func (w *world) sit(args ...string) *on {
	w.t.Helper()
	s := &on{w: w, cmd: exec.Command(args[0], args[1:]...), seen: &said{}, done: make(chan struct{})} //nolint:gosec // of the test
	s.cmd.Dir, s.cmd.Env = w.dir, append(w.environ(), "TERM=xterm")
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Cols: 101, Rows: 33})
	require.NoError(w.t, err)
	s.tty = tty
	read := make(chan struct{})
	go func() { // ends with the terminal
		defer close(read)
		_, _ = io.Copy(s.seen, tty) // it ends with EIO
	}()
	go func() { // ends with the command, which the clean-up kills at the latest
		_ = s.cmd.Wait() // its state says it all
		close(s.done)
	}()
	w.t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.done
		_ = tty.Close()
		<-read
	})
	return s
}

// types presses keys.
func (s *on) types(keys string) {
	s.w.t.Helper()
	_, err := io.WriteString(s.tty, keys)
	require.NoError(s.w.t, err)
}

// sees waits until text is on the screen.
func (s *on) sees(text string) {
	s.w.t.Helper()
	require.Eventually(s.w.t, func() bool { return strings.Contains(s.seen.String(), text) }, 30*time.Second, 5*time.Millisecond,
		"%v never shows %q; octo.log:\n%s", s.cmd.Args, text, lazyLog{s.w})
}

// ends waits for the end, and returns the exit code.
func (s *on) ends() int {
	s.w.t.Helper()
	select {
	case <-s.done:
	case <-time.After(40 * time.Second):
		s.w.t.Fatalf("%v does not end:\n%s", s.cmd.Args, s.seen)
	}
	return s.cmd.ProcessState.ExitCode()
}

// mode returns how the terminal treats keys.
func (s *on) mode() unix.Termios {
	s.w.t.Helper()
	mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	require.NoError(s.w.t, err)
	return *mode
}

// terminals are the doors as somebody on a terminal uses them.
func (w *world) terminals() []door {
	doors := w.doors()
	for i, d := range doors {
		if d.name == "ssh" {
			doors[i].args = slices.Insert(slices.Clone(d.args), 1, "-tt")
		}
	}
	return doors
}

// On a terminal the program has a terminal, of the same size, which follows; Ctrl-C is
// the program's; and afterwards the person's terminal is as it was.
func TestRun_OnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shelled("hello")
	for _, d := range w.terminals() {
		s := w.with(t, d.w.person...).sit(append(slices.Clone(d.args), "run", "hello", "--", "sh")...)
		before := s.mode()
		s.sees("# ")
		s.types("/testapp env TERM; /testapp window 2\r")
		s.sees("TERM=xterm\r\n101x33\r\n")
		require.NoError(t, pty.Setsize(s.tty, &pty.Winsize{Cols: 80, Rows: 24}))
		s.sees("80x24\r\n")
		s.types("/testapp signals 1\r")
		s.sees("ready\r\n")
		s.types("\x03")
		s.sees("INT\r\n")
		s.types("/testapp say st''ill here\r")
		s.sees("still\r\nhere\r\n")
		s.types("exit 5\r")
		require.Equal(t, 5, s.ends(), d.name)
		require.Equal(t, before, s.mode(), d.name)
	}
	for _, d := range w.terminals() { // without one, where one could be
		s := w.with(t, d.w.person...).sit(append(slices.Clone(d.args), "run", "-T", "hello", "--", "/testapp", "signals", "2")...)
		s.sees("ready\r\n")
		s.types("\x03")
		s.sees("INT\r\n")
		s.types("\x03")
		require.Zero(t, s.ends(), d.name)
		require.Equal(t, 2, strings.Count(s.seen.String(), "INT"), d.name)
	}
	w.noRuns("hello", 20*time.Second)
}

// Ctrl-C is for the program, as often as it takes: the third time octo does not wait
// for it any longer, and ends it.
func TestRun_NobodyWaitsForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shelled("hello")
	for _, d := range w.terminals() {
		if d.name == "ssh" {
			continue // Ctrl-C is ssh's own there
		}
		r := d.w.begin(d.w.dir, nil, append(slices.Clone(d.args), "run", "hello", "--", "/testapp", "signals", "9")...)
		r.until("ready")
		for i, says := range []string{"INT", "press Ctrl-C once more to end it without waiting"} {
			r.signal(syscall.SIGINT)
			r.until(says)
			require.False(t, r.ended(), "%s: %d", d.name, i)
		}
		r.signal(syscall.SIGINT)
		require.Equal(t, 130, r.end().code, d.name)
	}
	w.noRuns("hello", 60*time.Second)
}

// Much goes through, and octo keeps none of it.
func TestRun_Amounts(t *testing.T) {
	t.Parallel()
	const much = 100 << 20
	w := newWorld(t)
	w.shelled("hello")
	w.octo("run", "hello", "--", "/testapp", "exit", "0").ok()
	before := w.peak()
	for _, d := range w.doors()[:3] {
		want, got := sha256.New(), sha256.New()
		flood := exec.Command(enginetest.Binary(t), "flood", strconv.Itoa(much))
		in, err := flood.StdoutPipe()
		require.NoError(t, err)
		cat := exec.Command(d.args[0], append(slices.Clone(d.args[1:]), "run", "hello", "--", "/testapp", "cat")...) //nolint:gosec // of the test
		var complaints bytes.Buffer
		cat.Dir, cat.Env, cat.Stdin, cat.Stdout, cat.Stderr = d.w.dir, d.w.environ(), io.TeeReader(in, want), got, &complaints
		require.NoError(t, flood.Start())
		began := time.Now()
		require.NoError(t, cat.Run(), "%s: %s", d.name, complaints.String())
		require.NoError(t, flood.Wait())
		require.Equal(t, hex.EncodeToString(want.Sum(nil)), hex.EncodeToString(got.Sum(nil)), d.name)
		t.Logf("%s: 100 MiB there and back in %s", d.name, time.Since(began).Round(time.Millisecond))
	}
	after := w.peak()
	t.Logf("most memory of octo: %d KiB before, %d KiB after", before, after)
	require.Less(t, after-before, 64<<10, "KiB")
}

// peak returns the most memory that the daemon has had so far, in KiB.
func (w *world) peak() int {
	w.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.daemon.cmd.Process.Pid))
	require.NoError(w.t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(w.t, m)
	n, err := strconv.Atoi(string(m[1]))
	require.NoError(w.t, err)
	return n
}

// A program ends with those who are attached to it, however they go; and with octo.
func TestRun_EndsWithItsPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shelled("hello")
	for _, d := range w.doors() {
		r := d.w.begin(d.w.dir, nil, append(slices.Clone(d.args), "run", "hello", "--", "/testapp", "sleep", "1h")...)
		w.eventually(20*time.Second, d.name+": it runs", func() bool { return slices.Equal(w.runs("hello"), []string{"running"}) })
		r.signal(syscall.SIGKILL)
		w.noRuns("hello", 60*time.Second)
	}
	s := w.sit(octoBinary(t), "run", "hello", "--", "sh") // a shell that ignores SIGTERM
	s.sees("# ")
	require.NoError(t, s.cmd.Process.Kill())
	w.noRuns("hello", 10*time.Second)

	detached := strings.TrimSpace(w.octo("run:detached", "hello", "--", "/testapp", "sleep", "1h").ok())
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		r := w.begin(w.dir, nil, octoBinary(t), "run", "hello", "--", "/testapp", "sleep", "1h")
		w.eventually(20*time.Second, "both run", func() bool { return slices.Equal(w.runs("hello"), []string{"running", "running"}) })
		w.kill(how)
		require.Equal(t, 1, r.end().code)
		w.start()
		w.eventually(60*time.Second, "only the detached one is left", func() bool { return len(w.runs("hello")) == 1 })
		var runs []octo.Run
		w.json(&runs, "run:list", "hello")
		require.Len(t, runs, 1)
		require.Equal(t, detached, runs[0].Name)
		require.Equal(t, octo.RunRunning, runs[0].State)
	}
	w.octo("apps:destroy", "hello", "--confirm", "hello").ok() // ends it, too
	require.Empty(t, w.containers("hello"))
}

// Detached runs go on by themselves: through pushes, and without anybody.
func TestRun_Detached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.shelled("hello")
	for _, d := range w.doors() {
		out := d.run("run:detached hello -- /testapp say one two")
		name := strings.TrimSpace(out.ok())
		require.Regexp(t, `^run\.[a-z2-7]{5}$`, name)
		out.says("see what it prints with: octo run:logs " + name + " -a hello")
		w.eventually(20*time.Second, "it has ended", func() bool { return strings.Contains(w.octo("events", "hello").ok(), name+" ended with exit code 0") })
		require.Regexp(t, `\S+ app\[`+name+`\]: one\n\S+ app\[`+name+`\]: two\n$`, d.run("run:logs "+name+" -a hello").ok())
		require.Equal(t, "stopped "+name+"\n", d.run("run:stop "+name+" -a hello").ok())
	}
	name := strings.TrimSpace(w.octo("run:detached", "hello", "--ttl", "1h", "--", "sh", "-c", "/testapp signals 1; exit 3").ok())
	r.deploy("v2")
	r.deploy("v3")
	var runs []octo.Run
	w.json(&runs, "run:list", "hello")
	require.Len(t, runs, 1)
	require.Equal(t, 1, runs[0].Release, "its image is still there")
	require.Equal(t, time.Hour, runs[0].Expires.Sub(runs[0].Started).Round(time.Minute))
	follow := w.begin(w.dir, nil, octoBinary(t), "run:logs", name, "-a", "hello", "-f")
	follow.until("app[" + name + "]: ready")
	w.octo("run:stop", name, "-a", "hello").ok()
	out := w.octo("run:stop", name, "-a", "hello")
	require.Equal(t, 3, out.code)
	out.says("error: hello has no run "+name, "hint:  list them with: octo run:list -a hello")
	require.Contains(t, w.octo("run:list", "hello").err, "nothing runs beside the instances of hello")
	follow.end()
	require.Equal(t, "v3", w.octo("run", "hello", "--", "/testapp", "cat", "/version.txt").ok())
	bob := w.as("bob")
	for _, line := range []string{"run hello -- true", "run:detached hello -- true", "run:list hello", "enter hello"} {
		require.Equal(t, 3, bob.sshAs("bob", line).code, "what is somebody else's does not exist")
	}
}

// One can enter what runs, at every door, and leaves nothing behind.
func TestEnter_AtEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.shelled("hello")
	inside := func() string { return w.docker("top", w.containers("hello")[0], "-o", "pid,args").ok() }
	for _, d := range w.doors() {
		require.Equal(t, "OCTOHOST_INSTANCE=hello.web.v1.1\n", d.run("enter hello -- /testapp env OCTOHOST_INSTANCE").ok(), d.name)
		require.Equal(t, 9, d.run("enter hello web.1 -- /testapp exit 9").code, d.name)
		require.Equal(t, "in and out", d.feed("in and out", "shell -a hello web -- /testapp cat").ok(), d.name)
		out := d.run("enter hello web.9 -- true")
		require.Equal(t, 3, out.code, d.name)
		out.says("error: hello has no instance web.9 that runs", "hint:  see what runs with: octo ps -a hello")
		require.Equal(t, "typed\n", d.feed("/testapp say typed", "enter hello").ok(), d.name)
	}
	for _, d := range w.terminals() {
		s := w.with(t, d.w.person...).sit(append(slices.Clone(d.args), "enter", "hello")...)
		s.sees("# ")
		s.types("/testapp window 1; /testapp signals 1\r")
		s.sees("101x33\r\nready\r\n")
		s.types("\x03")
		s.sees("INT\r\n")
		s.types("exit 6\r")
		require.Equal(t, 6, s.ends(), d.name)

		s = w.with(t, d.w.person...).sit(append(slices.Clone(d.args), "enter", "hello")...)
		s.sees("# ")
		s.types("/testapp sleep 58m\r")
		w.eventually(20*time.Second, d.name+": it runs", func() bool { return strings.Contains(inside(), "sleep 58m") })
		require.NoError(t, s.cmd.Process.Kill())
		w.eventually(60*time.Second, d.name+": it has ended", func() bool { return !strings.Contains(inside(), "sleep 58m") })
	}
	w.eventually(20*time.Second, "only the instance is left", func() bool {
		return !strings.Contains(inside(), "sleep") && !regexp.MustCompile(`(?m)^\s*\d+\s+(/bin/)?sh$`).MatchString(inside())
	})
	r.stillServes("v1")

	bare := w.repo("bare") // FROM scratch, with nothing else in it
	bare.deploy("v1")
	out := w.octo("enter", "bare")
	require.Equal(t, 127, out.code)
	out.says("error: there is no sh in web.1", "hint:  an image FROM scratch, or a distroless one, has no shell; name a program that is in it")
	out = w.octo("run", "bare", "--", "sh")
	require.Equal(t, 127, out.code)
	out.says("error: there is no sh in the image of bare", "hint:  an image FROM scratch, or a distroless one, has no shell; name a program that is in it")
	w.octo("apps:create", "empty").ok()
	out = w.octo("enter", "empty")
	require.Equal(t, 1, out.code)
	out.says("error: nothing of empty runs that could be entered")
}

// A release command runs before the switch, is seen in the push, and a failure of it
// rejects that: what served before still serves.
func TestRun_ReleaseCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.shelled("hello")
	r.write("Procfile", "release: sh -c '/testapp say migrating; /testapp complain slowly'\nweb: /testapp\n")
	said := r.deploy("v2")
	require.Contains(t, plain(said), "-----> Running release: ")
	require.Contains(t, plain(said), "       migrating\n       slowly\n")
	require.Less(t, strings.Index(said, "migrating"), strings.Index(said, "Releasing v2"))

	r.write("Procfile", "release: sh -c '/testapp say migrating; exit 3'\nweb: /testapp\n")
	r.commit("v3")
	out := r.push()
	out.fails()
	require.Contains(t, plain(out.err), "       migrating\n")
	require.Contains(t, plain(out.err), "release ended with exit code 3, so nothing is released")
	require.Contains(t, out.err, "remote rejected")
	r.stillServes("v2")

	r.write("Procfile", "release: /testapp sleep 57m\nweb: /testapp\n")
	r.commit("v4")
	push := r.begin()
	push.until("Running release")
	w.eventually(20*time.Second, "it runs", func() bool { return slices.Equal(w.runs("hello"), []string{"running"}) })
	var runs []octo.Run
	w.json(&runs, "run:list", "hello")
	require.Regexp(t, `^release\.\w+$`, runs[0].Name)
	w.octo("run:stop", runs[0].Name, "-a", "hello").ok()
	out = push.end()
	require.Contains(t, plain(out.out), runs[0].Name+" was ended: stopped by ")
	require.NotZero(t, out.code)

	push = r.begin() // it goes on as the push does, without its client
	w.eventually(20*time.Second, "it runs again", func() bool { return slices.Contains(w.runs("hello"), "running") })
	push.kill()
	w.json(&runs, "run:list", "hello")
	require.Equal(t, octo.RunRunning, runs[0].State)
	w.kill(syscall.SIGTERM) // and ends with octo
	w.start()
	w.noRuns("hello", 60*time.Second)
	r.stillServes("v2")
	r.write("Procfile", "web: /testapp\n")
	r.deploy("v5")
}
