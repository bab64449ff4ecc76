package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Exec runs a program inside of a container. ErrNotFound says that there is no such
// container, ErrConflict that it does not run.
func (e *Engine) Exec(ctx context.Context, id string, spec engine.ExecSpec) (engine.Session, error) {
	made, err := e.client.ExecCreate(ctx, id, client.ExecCreateOptions{
		Cmd: spec.Command, Env: spec.Env, TTY: spec.Terminal,
		AttachStdin: spec.Input, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, e.fail(err, "run program in container")
	}
	got, err := e.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: spec.Terminal})
	if err != nil {
		return nil, e.fail(err, "run program in container")
	}
	s := &execSession{stream: stream{hijacked: got.HijackedResponse, terminal: spec.Terminal}, engine: e, id: made.ID}
	if err := s.started(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if spec.Terminal && spec.Window.Valid() {
		_ = s.Resize(ctx, spec.Window) // a program that has ended already has no terminal
	}
	return s, nil
}

// Inside returns a program that Exec has started some time, by its id. It need not run
// any more.
func (e *Engine) Inside(id string) engine.Process { return &execSession{engine: e, id: id} }

// The engine answers before a program runs, and closes its output before it knows
// how it ended.
const (
	execPatience = 30 * time.Second
	execPause    = 10 * time.Millisecond
)

// exitKilled is the exit code of what a SIGKILL ended.
const exitKilled = 128 + 9

// execSession is the connection with a program inside of a container.
type execSession struct {
	stream
	engine *Engine
	id     string
}

// started waits until the program runs, or has.
func (s *execSession) started(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	for {
		now, err := s.inspect(ctx)
		if err != nil {
			return s.engine.fail(err, "run program in container")
		}
		if now.PID != 0 || now.ExitCode != 0 {
			return nil
		}
		if !pause(ctx, execPause) {
			return s.engine.fail(ctx.Err(), "run program in container")
		}
	}
}

func (s *execSession) inspect(ctx context.Context) (client.ExecInspectResult, error) {
	return s.engine.client.ExecInspect(ctx, s.id, client.ExecInspectOptions{})
}

// Resize sets the size of the terminal.
func (s *execSession) Resize(ctx context.Context, size octo.Window) error {
	_, err := s.engine.client.ExecResize(ctx, s.id, client.ExecResizeOptions(resizeOptions(size)))
	return s.engine.fail(err, "resize terminal")
}

// Wait waits for the program's end. The engine has no call for that; it comes with the
// end of the output.
func (s *execSession) Wait(ctx context.Context) (int, error) {
	for wait := execPause; ; wait = min(2*wait, 500*time.Millisecond) {
		now, err := s.inspect(ctx)
		switch {
		case gone(err): // with its container
			return exitKilled, nil
		case err != nil:
			return 0, s.engine.fail(err, "await program")
		case !now.Running:
			return now.ExitCode, s.refused(now.ExitCode)
		case !pause(ctx, wait):
			return 0, ctx.Err()
		}
	}
}

// Signal sends a signal to the program and its children. The engine has no call for
// that either: where the machine does not let us do it, a shell in the container does.
func (s *execSession) Signal(ctx context.Context, name octo.SignalName) error {
	now, err := s.inspect(ctx)
	switch {
	case gone(err):
		return nil
	case err != nil:
		return s.engine.fail(err, "send signal")
	case !now.Running || now.PID == 0:
		return nil
	}
	if err := s.signalHere(now, name); err == nil {
		return nil
	}
	return s.signalInside(ctx, now, name)
}

// signalHere signals the program as the process of this machine that it is.
func (s *execSession) signalHere(now client.ExecInspectResult, name octo.SignalName) error {
	if !inContainer(now.PID, now.ContainerID) {
		return errors.New("it is no process of this machine")
	}
	return kill(now.PID, name)
}

// inContainer reports whether a process of this machine is one of a container.
func inContainer(pid int, container string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && container != "" && strings.Contains(string(text), container)
}

// signalInside has a shell in the container signal the program.
func (s *execSession) signalInside(ctx context.Context, now client.ExecInspectResult, name octo.SignalName) error {
	pid, err := innerPID(now.PID)
	if err != nil {
		return octo.Errorf(octo.ErrUnavailable, "send signal: %v", err)
	}
	helper, err := s.engine.Exec(ctx, now.ContainerID, engine.ExecSpec{
		Command: []string{"sh", "-c", `kill -s "$0" -- "-$1" || kill -s "$0" "$1"`, string(name), strconv.Itoa(pid)},
	})
	if err != nil {
		return err
	}
	defer helper.Close() //nolint:errcheck // it has ended
	var said strings.Builder
	if err := helper.Copy(&said, &said); err != nil {
		return s.engine.fail(err, "send signal")
	}
	if code, err := helper.Wait(ctx); err != nil || code != 0 {
		return octo.Errorf(octo.ErrUnavailable, "send signal: no shell in the container did it (%d %v %.80s)", code, err, said.String())
	}
	return nil
}

// innerPID returns the number that a process of this machine has in its container.
func innerPID(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			all := strings.Fields(ids)
			return strconv.Atoi(all[len(all)-1])
		}
	}
	return 0, errors.New("the kernel does not tell the number of the process")
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
