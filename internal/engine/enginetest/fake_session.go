package enginetest

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// fakeSession is the connection with a program of a Fake.
type fakeSession struct {
	attach  engine.Attach
	missing bool // there is no such program
	kill    func()

	stdin          *io.PipeWriter
	input          *io.PipeReader
	stdout, stderr *io.PipeReader
	prints         [2]*io.PipeWriter
	signals        chan<- os.Signal
	done           chan struct{} // closed when the program has ended
	code           int           // once it has

	mu   sync.Mutex
	size octo.Window
}

func newFakeSession(at engine.Attach, command []string) *fakeSession {
	s := &fakeSession{attach: at, size: at.Window, done: make(chan struct{})}
	s.missing = len(command) > 0 && command[0] != testapp
	s.input, s.stdin = io.Pipe()
	s.stdout, s.prints[0] = io.Pipe()
	s.stderr, s.prints[1] = io.Pipe()
	return s
}

// connect gives a program the streams of the session. The Fake's lock is held.
func (s *fakeSession) connect(p *FakeProcess) {
	if s.attach.Input {
		p.Stdin = s.input
	}
	out, complaints := io.Writer(forgiving{s.prints[0]}), io.Writer(forgiving{s.prints[1]})
	if s.attach.Terminal {
		complaints = out
		p.Window = func() (int, int, bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.size.Columns, s.size.Rows, true
		}
	}
	if s.attach.Logged {
		out, complaints = io.MultiWriter(p.Stdout, out), io.MultiWriter(p.Stderr, complaints)
	}
	p.Stdout, p.Stderr = out, complaints
}

// forgiving is a writer whose reader may leave.
type forgiving struct{ w io.Writer }

// Write never fails.
func (f forgiving) Write(p []byte) (int, error) {
	_, _ = f.w.Write(p) // as an engine goes on without those who are attached
	return len(p), nil
}

// program returns what runs, which is nothing where there is no such program.
func (s *fakeSession) program(p func(context.Context, *FakeProcess) int) func(context.Context, *FakeProcess) int {
	if s != nil && s.missing {
		return func(context.Context, *FakeProcess) int { return 127 }
	}
	return p
}

// ended says that the program has.
func (s *fakeSession) ended(code int) {
	if s == nil {
		return // nobody was attached
	}
	s.code = code
	for _, w := range s.prints {
		_ = w.Close() // a pipe closes without error
	}
	_ = s.input.Close() // the same
	close(s.done)
}

// Write writes to the program's input.
func (s *fakeSession) Write(p []byte) (int, error) { return s.stdin.Write(p) }

// CloseWrite ends the program's input.
func (s *fakeSession) CloseWrite() error {
	if s.attach.Terminal {
		return nil
	}
	return s.stdin.Close()
}

// Copy copies what the program prints.
func (s *fakeSession) Copy(stdout, stderr io.Writer) error {
	errs := make(chan error)
	var turns sync.Mutex
	go func() { // ends with the program, or with Close
		_, err := io.Copy(inTurn{stderr, &turns}, s.stderr)
		errs <- err
	}()
	_, err := io.Copy(inTurn{stdout, &turns}, s.stdout)
	return errors.Join(err, <-errs)
}

// inTurn is one of two writers that are not written to at the same time.
type inTurn struct {
	w     io.Writer
	turns *sync.Mutex
}

// Write writes p when it is its turn.
func (i inTurn) Write(p []byte) (int, error) {
	i.turns.Lock()
	defer i.turns.Unlock()
	return i.w.Write(p)
}

// Resize changes the size of the terminal.
func (s *fakeSession) Resize(_ context.Context, size octo.Window) error {
	s.mu.Lock()
	s.size = size
	s.mu.Unlock()
	s.send(syscall.SIGWINCH)
	return nil
}

func (s *fakeSession) send(signal os.Signal) {
	select {
	case s.signals <- signal:
	case <-s.done:
	}
}

// Signal sends a signal.
func (s *fakeSession) Signal(_ context.Context, name octo.SignalName) error {
	numbers := map[octo.SignalName]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1}
	if name == "KILL" {
		s.kill()
		return nil
	}
	if number, ok := numbers[name]; ok {
		s.send(number)
	}
	return nil
}

// Wait waits for the program's end.
func (s *fakeSession) Wait(ctx context.Context) (int, error) {
	select {
	case <-s.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if s.missing {
		return s.code, &engine.CommandError{Missing: true, Message: "executable file not found"}
	}
	return s.code, nil
}

// Close lets the program go on without us.
func (s *fakeSession) Close() error {
	return errors.Join(s.stdin.Close(), s.stdout.Close(), s.stderr.Close())
}

// StartAttached is Start, with the program's streams in the caller's hands.
func (f *Fake) StartAttached(ctx context.Context, spec engine.Spec, at engine.Attach) (engine.Container, engine.Session, error) {
	s := newFakeSession(at, spec.Command)
	c, err := f.start(ctx, spec, s)
	if err != nil {
		return c, nil, err
	}
	return c, s, nil
}

// Exec runs a program inside of a container.
func (f *Fake) Exec(_ context.Context, id string, spec engine.ExecSpec) (engine.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(id)
	if err == nil && c.State != engine.StateRunning {
		err = octo.Errorf(octo.ErrConflict, "run program in container: it does not run")
	}
	if err != nil {
		return nil, err
	}
	s := newFakeSession(spec.Attach, spec.Command)
	ctx, cancel := context.WithCancel(context.Background()) // it ends with its container
	signals := make(chan os.Signal, 16)
	s.signals, s.kill = signals, cancel
	p := &FakeProcess{
		Spec: c.spec, Signals: signals, Stdin: strings.NewReader(""), OutOfMemory: func() { f.OutOfMemory(id) },
		Window: func() (int, int, bool) { return 0, 0, false },
	}
	p.Spec.Command, p.Spec.Env, p.Spec.Labels = spec.Command, slices.Concat(p.Spec.Env, spec.Env), maps.Clone(p.Spec.Labels)
	s.connect(p)
	ended := c.ended
	f.running.Go(func() {
		code := s.program(f.config.Exec)(ctx, p)
		killed := ctx.Err() != nil
		cancel()
		if killed {
			code = 137
		}
		s.ended(code)
	})
	f.running.Go(func() {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	})
	return s, nil
}
