package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// StartAttached is Start of a container whose program the caller is connected with
// from its first byte on.
func (e *Engine) StartAttached(ctx context.Context, spec engine.Spec, at engine.Attach) (engine.Container, engine.Session, error) {
	opts, err := createOptions(spec)
	if err != nil {
		return engine.Container{}, nil, err
	}
	if !at.Logged {
		opts.HostConfig.LogConfig = container.LogConfig{Type: "none"}
	}
	opts.Config.Tty, opts.Config.OpenStdin, opts.Config.StdinOnce = at.Terminal, at.Input, at.Input
	var s *mainSession
	c, err := e.start(ctx, spec, opts, func(id string) (err error) {
		s, err = e.attach(ctx, id, at)
		return err
	})
	if err != nil {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		return engine.Container{}, nil, err
	}
	if at.Terminal && at.Window.Valid() {
		_ = s.Resize(ctx, at.Window) // a program that has ended already has no terminal
	}
	return c, s, nil
}

func (e *Engine) attach(ctx context.Context, id string, at engine.Attach) (*mainSession, error) {
	got, err := e.client.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: at.Input, Stdout: true, Stderr: true})
	if err != nil {
		return nil, e.fail(err, "attach to container")
	}
	return &mainSession{stream: stream{hijacked: got.HijackedResponse, terminal: at.Terminal}, engine: e, id: id}, nil
}

func resizeOptions(size octo.Window) client.ContainerResizeOptions {
	return client.ContainerResizeOptions{Height: uint(size.Rows), Width: uint(size.Columns)} //nolint:gosec // valid ones are positive
}

// mainSession is the connection with a container's own program.
type mainSession struct {
	stream
	engine *Engine
	id     string
}

// Resize sets the size of the terminal.
func (s *mainSession) Resize(ctx context.Context, size octo.Window) error {
	_, err := s.engine.client.ContainerResize(ctx, s.id, resizeOptions(size))
	return s.engine.fail(err, "resize terminal")
}

// Signal sends a signal to the container's first process, which passes it on.
func (s *mainSession) Signal(ctx context.Context, name octo.SignalName) error {
	_, err := s.engine.client.ContainerKill(ctx, s.id, client.ContainerKillOptions{Signal: "SIG" + string(name)})
	err = s.engine.fail(err, "send signal")
	if errors.Is(err, octo.ErrConflict) || errors.Is(err, octo.ErrNotFound) {
		return nil // it does not run
	}
	return err
}

// Wait waits for the container's end.
func (s *mainSession) Wait(ctx context.Context) (int, error) {
	wait := s.engine.client.ContainerWait(ctx, s.id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case got := <-wait.Result:
		code := int(got.StatusCode)
		return code, s.refused(code)
	case err := <-wait.Error:
		return 0, s.engine.fail(err, "await container")
	}
}

// stream is a connection with a program that the engine has handed over.
type stream struct {
	hijacked client.HijackedResponse
	terminal bool
	refusals [2]refusal // on stdout and stderr
}

// Write writes to the program's input.
func (s *stream) Write(p []byte) (int, error) { return s.hijacked.Conn.Write(p) }

// CloseWrite ends the program's input.
func (s *stream) CloseWrite() error {
	if s.terminal {
		return nil
	}
	err := s.hijacked.CloseWrite()
	if errors.Is(err, syscall.ENOTCONN) {
		return nil // the program was faster
	}
	return err
}

// Copy copies what the program prints.
func (s *stream) Copy(stdout, stderr io.Writer) error {
	s.refusals[0].to, s.refusals[1].to = stdout, stderr
	var err error
	if s.terminal {
		_, err = io.Copy(&s.refusals[0], s.hijacked.Reader)
	} else {
		err = split(s.hijacked.Reader, &s.refusals[0], &s.refusals[1])
	}
	return errors.Join(err, s.refusals[0].flush(), s.refusals[1].flush())
}

// Close gives the connection up.
func (s *stream) Close() error { return s.hijacked.Conn.Close() }

// refused returns why a program never ran, if that is what an exit code means.
func (s *stream) refused(code int) error {
	for i := range s.refusals {
		if err := s.refusals[i].error(code); err != nil {
			return err
		}
	}
	return nil
}

// split copies the two streams in one of the engine: frames as in demultiplex.
func split(r io.Reader, stdout, stderr io.Writer) error {
	for {
		var header [8]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		to := stdout
		switch header[0] {
		case 1:
		case 2:
			to = stderr
		default:
			return errFrame
		}
		if _, err := io.CopyN(to, r, int64(binary.BigEndian.Uint32(header[4:]))); err != nil {
			return err
		}
	}
}
