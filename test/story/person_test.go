package story_test

import (
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// with returns the world for a subtest, and for a person who has env in their
// environment.
func (w *world) with(t *testing.T, env ...string) *world {
	c := *w
	c.t = t
	c.person = append(slices.Clone(w.person), env...)
	return &c
}

// as admits somebody, and returns the world as they use it: over SSH, with their key.
func (w *world) as(user string) *world {
	w.t.Helper()
	w.newKey(user)
	w.octo("keys:add", w.path(user+".pub"), "--user", user).ok()
	return w.with(w.t, "GIT_SSH_COMMAND="+strings.Join(w.sshOptions(user), " "))
}

// newKey makes a key pair: the files name and name.pub.
func (w *world) newKey(name string) {
	w.t.Helper()
	w.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name+"@story", "-f", w.path(name)).ok()
}

// plain returns what was said as a person reads it: without git's marks of what the
// other side says, and with the figures that differ from run to run replaced by N.
func plain(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimRight(line, " \r\n"), "remote: ")
		lines = append(lines, figures.ReplaceAllString(line, "${1}N$2"))
	}
	return strings.Join(lines, "\n")
}

var figures = regexp.MustCompile(`\b(v?)\d+(?:\.\d+)?( s\b| times\b| starts in a row| failed)`)

// says checks that each of lines is among what was said, whole and in this order.
func (r result) says(lines ...string) {
	r.t.Helper()
	said := strings.Split(plain(r.out+r.err), "\n")
	for _, line := range lines {
		i := slices.Index(said, line)
		require.GreaterOrEqual(r.t, i, 0, "this is not said: %q; but this:\n%s", line, plain(r.out+r.err))
		said = said[i+1:]
	}
}

// running is a command that has not ended yet.
type running struct {
	w    *world
	cmd  *exec.Cmd
	said said
	done chan struct{} // closed when it has ended
}

// said is what a command has printed so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// begin starts a command. The end of the test kills it at the latest.
func (w *world) begin(dir string, stdin io.Reader, args ...string) *running {
	w.t.Helper()
	r := &running{w: w, cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})} //nolint:gosec // of the test
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdin = dir, w.environ(), stdin
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(w.t, r.cmd.Start())
	go func() { // ends with the command, which the clean-up kills at the latest
		_ = r.cmd.Wait() // its state says it all
		close(r.done)
	}()
	w.t.Cleanup(r.kill)
	return r
}

// begin starts a push of main.
func (r *repo) begin() *running { return r.w.begin(r.dir, nil, "git", "push", "octo", "main") }

// until waits until the command has printed text.
func (r *running) until(text string) {
	r.w.t.Helper()
	require.Eventually(r.w.t, func() bool { return strings.Contains(plain(r.said.String()), text) }, 60*time.Second, 10*time.Millisecond,
		"%v never says %q; octo.log:\n%s", r.cmd.Args, text, lazyLog{r.w})
}

// ended reports whether the command has ended.
func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to the command and all that it has started.
func (r *running) signal(s syscall.Signal) {
	if !r.ended() {
		_ = syscall.Kill(-r.cmd.Process.Pid, s) // it may have ended just now
	}
}

func (r *running) kill() {
	r.signal(syscall.SIGKILL)
	<-r.done
}

// end waits until the command has ended.
func (r *running) end() result {
	r.w.t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * time.Minute):
		r.w.t.Fatalf("%v does not end:\n%s", r.cmd.Args, r.said.String())
	}
	return result{t: r.w.t, args: r.cmd.Args, out: r.said.String(), code: r.cmd.ProcessState.ExitCode()}
}
