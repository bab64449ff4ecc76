package git

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// session is a git process that talks with a client.
type session struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	limits  limits
	pumps   *group        // outlives the session: copies may hang on the client
	drained chan struct{} // closed when the process's output has been copied
	cut     chan struct{} // closed when nobody waits for that any more
	ended   chan struct{} // closed when the process has ended

	closeIn sync.Once
	cutOnce sync.Once
	mu      sync.Mutex
	killer  *time.Timer // kills the process when it does not end by itself
}

// startSession starts a process whose output goes to stdio. A client that does not
// take it never blocks the process for good: what cannot be written is dropped.
func (r *Repos) startSession(cmd *exec.Cmd, stdio octo.Stdio) (*session, error) {
	s := &session{
		cmd: cmd, limits: r.limits, pumps: &r.work,
		drained: make(chan struct{}), cut: make(chan struct{}), ended: make(chan struct{}),
	}
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("make pipes for git: %w", err)
	}
	s.stdin = stdin
	if err := r.start(cmd); err != nil {
		return nil, err
	}
	var outputs sync.WaitGroup
	outputs.Go(func() { drain(stdio.Out, stdout) })
	outputs.Go(func() { drain(stdio.Err, stderr) })
	s.pumps.also(func() { outputs.Wait(); close(s.drained) })
	return s, nil
}

// drain copies from to to, and goes on reading when to is broken.
func drain(to io.Writer, from io.Reader) {
	if _, err := io.Copy(to, from); err != nil {
		_, _ = io.Copy(io.Discard, from) // ends with the process, which is what matters
	}
}

// input copies to the process what pump sends it, until pump returns.
func (s *session) input(pump func(to io.Writer)) {
	s.pumps.also(func() {
		defer s.closeInput()
		pump(s.stdin)
	})
}

// closeInput tells the process that nothing more comes.
func (s *session) closeInput() {
	s.closeIn.Do(func() { _ = s.stdin.Close() }) // fails only where the process has ended
}

// end makes the process end now, without waiting for its client.
func (s *session) end() {
	select {
	case <-s.ended:
		return // its number may be somebody else's by now
	default:
	}
	s.cutOnce.Do(func() {
		_ = terminate(s.cmd) // fails only where it has ended
		s.mu.Lock()
		s.killer = time.AfterFunc(s.limits.kill, func() { _ = kill(s.cmd) })
		s.mu.Unlock()
		close(s.cut)
	})
}

// endAfter ends the process unless it ends by itself within d.
func (s *session) endAfter(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		s.end()
	}
}

// wait waits for the end of the process, and returns its exit status.
func (s *session) wait() int {
	select {
	case <-s.drained:
	case <-s.cut:
	}
	err := s.cmd.Wait()
	close(s.ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killer != nil {
		s.killer.Stop()
	}
	if code := s.cmd.ProcessState.ExitCode(); err == nil || code > 0 {
		return code
	}
	return exitFailed
}
