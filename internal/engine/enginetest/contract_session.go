package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest/webapp"
	"github.com/octohost/octohost/internal/octo"
)

// conversation is a session whose output is collected.
type conversation struct {
	*suite
	engine.Session
	ctx  context.Context
	out  *heard
	err  *heard
	done chan error // what Copy returned
}

// heard collects what a program prints.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // has an element when something was added
}

// Write keeps p.
func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
	return h.text.Write(p)
}

// String returns what was kept.
func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// tool is a container in which a tool of package webapp runs.
func (s *suite) tool(args ...string) engine.Spec {
	spec := s.hello()
	spec.Command = append([]string{testapp}, args...)
	return spec
}

// attach starts a container and listens to it.
func (s *suite) attach(at engine.Attach, spec engine.Spec) (engine.Container, *conversation) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	s.Cleanup(cancel)
	c, session, err := s.StartAttached(ctx, spec, at)
	require.NoError(s, err)
	return c, s.converse(ctx, session)
}

// inside runs a program in a container and listens to it.
func (s *suite) inside(at engine.Attach, c engine.Container, command ...string) *conversation {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	s.Cleanup(cancel)
	session, err := s.Exec(ctx, c.ID, engine.ExecSpec{Attach: at, Command: command, Env: []string{"GREETING=hello"}})
	require.NoError(s, err)
	return s.converse(ctx, session)
}

func (s *suite) converse(ctx context.Context, session engine.Session) *conversation {
	c := &conversation{
		suite: s, Session: session, ctx: ctx, done: make(chan error, 1),
		out: &heard{more: make(chan struct{}, 1)}, err: &heard{more: make(chan struct{}, 1)},
	}
	go func() { c.done <- session.Copy(c.out, c.err) }() // ends with the program, or with Close
	s.Cleanup(func() { _ = session.Close() })            // perhaps once more
	return c
}

// hears waits until the program has printed text.
func (c *conversation) hears(text string) {
	c.Helper()
	for !strings.Contains(c.out.String(), text) {
		select {
		case <-c.out.more:
		case <-c.ctx.Done():
			c.Fatalf("it never says %q, but %q", text, c.out.String())
		}
	}
}

// ends waits for the end of output and program, and returns the exit code.
func (c *conversation) ends() int {
	c.Helper()
	select {
	case err := <-c.done:
		require.NoError(c, err)
	case <-c.ctx.Done():
		c.Fatalf("its output never ends: %q", c.out.String())
	}
	code, err := c.Wait(c.ctx)
	require.NoError(c, err)
	return code
}

func (c *conversation) types(text string) {
	c.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(c, err)
}

func (s *suite) attachedStreams() {
	box, c := s.attach(engine.Attach{Input: true}, s.tool("cat"))
	require.Equal(s, engine.StateRunning, box.State)
	c.types("one\x00\xff\r\n")
	c.hears("one\x00\xff\r\n")
	c.types("two")
	require.NoError(s, c.CloseWrite())
	require.Zero(s, c.ends())
	require.Equal(s, "one\x00\xff\r\ntwo", c.out.String())

	spec := s.tool("complain", "a", "b")
	spec.Name += "-2"
	_, c = s.attach(engine.Attach{}, spec)
	require.Zero(s, c.ends())
	require.Empty(s, c.out.String())
	require.Equal(s, "a\nb\n", c.err.String())

	spec = s.tool("say", "kept")
	spec.Name += "-5"
	box, c = s.attach(engine.Attach{Logged: true}, spec)
	require.Zero(s, c.ends())
	require.Equal(s, "kept\n", c.out.String())
	_, kept := s.lines(box.ID, engine.LogOptions{Tail: -1})
	require.Equal(s, []string{"kept"}, kept)
	spec = s.tool("exit", "7")
	spec.Name += "-3"
	_, c = s.attach(engine.Attach{}, spec)
	require.Equal(s, 7, c.ends())
	spec = s.tool("cat")
	spec.Name += "-4"
	_, c = s.attach(engine.Attach{}, spec)
	require.Zero(s, c.ends(), "it has nothing to read")
}

// attachedAmounts: much comes through, in both directions at once.
func (s *suite) attachedAmounts() {
	const much = 20 << 20
	_, c := s.attach(engine.Attach{Input: true}, s.tool("cat"))
	want, sent := sha256.New(), make(chan error, 1)
	go func() { // ends with the program
		_, err := io.Copy(io.MultiWriter(c, want), webapp.Flood(much))
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	require.Zero(s, c.ends())
	require.NoError(s, <-sent)
	got := sha256.Sum256(c.out.text.Bytes())
	require.Equal(s, want.Sum(nil), got[:])
}

func (s *suite) attachedSignals() {
	box, c := s.attach(engine.Attach{}, s.tool("signals", "3"))
	c.hears("ready\n")
	for _, name := range []octo.SignalName{"INT", "HUP", "TERM"} {
		require.NoError(s, c.Signal(c.ctx, name))
		c.hears(string(name) + "\n")
	}
	require.Zero(s, c.ends())
	require.NoError(s, c.Signal(c.ctx, "TERM"), "it has ended")
	require.NoError(s, s.Remove(s.Context(), box.ID))

	for name, code := range map[octo.SignalName]int{"INT": 130, "KILL": 137} {
		spec := s.tool("sleep", "1m")
		spec.Name += strings.ToLower(string(name))
		_, c = s.attach(engine.Attach{}, spec)
		require.NoError(s, c.Signal(c.ctx, name))
		require.Equal(s, code, c.ends())
	}
}

func (s *suite) attachedTerminal() {
	at := engine.Attach{Input: true, Terminal: true, Window: octo.Window{Columns: 101, Rows: 33}}
	_, c := s.attach(at, s.tool("window", "3"))
	s.resized(c)

	spec := s.tool("complain", "too")
	spec.Name += "-2"
	_, c = s.attach(at, spec)
	require.Zero(s, c.ends())
	require.Equal(s, "too", strings.TrimSpace(c.out.String()), "a terminal has one stream")
	require.Empty(s, c.err.String())
}

// resized checks that a program is told of changes of its window.
func (s *suite) resized(c *conversation) {
	s.Helper()
	c.hears("101x33")
	require.NoError(s, c.Resize(c.ctx, octo.Window{Columns: 80, Rows: 24}))
	c.hears("80x24")
	require.NoError(s, c.Resize(c.ctx, octo.Window{Columns: 200, Rows: 50}))
	require.Zero(s, c.ends())
	require.Contains(s, c.out.String(), "200x50")
}

func (s *suite) attachedToNothing() {
	spec := s.hello()
	spec.Command = []string{"/no/such/program"}
	_, c := s.attach(engine.Attach{}, spec)
	c.refuses()
	bad := s.tool("cat")
	bad.Network = s.host + "-nowhere"
	bad.Name += "-2"
	_, _, err := s.StartAttached(s.Context(), bad, engine.Attach{})
	require.ErrorIs(s, err, octo.ErrNotFound)
	_, err = s.Inspect(s.Context(), bad.Name)
	require.ErrorIs(s, err, octo.ErrNotFound, "what failed to start is removed")
}

// refuses checks that a program was not there, and nothing else is said.
func (c *conversation) refuses() {
	c.Helper()
	require.NoError(c, <-c.done)
	code, err := c.Wait(c.ctx)
	var missing *engine.CommandError
	require.ErrorAs(c, err, &missing)
	require.True(c, missing.Missing)
	require.ErrorIs(c, err, octo.ErrInvalid)
	require.Contains(c, []int{126, 127}, code)
	require.Empty(c, c.out.String()+c.err.String())
}

// attachedNoMore: those who leave do not take the program along.
func (s *suite) attachedNoMore() {
	box, c := s.attach(engine.Attach{Input: true}, s.tool("signals", "1"))
	c.hears("ready\n")
	require.NoError(s, c.Close())
	<-c.done // with whatever error
	box, err := s.Inspect(s.Context(), box.ID)
	require.NoError(s, err)
	require.Equal(s, engine.StateRunning, box.State)
	require.NoError(s, s.Stop(s.Context(), box.ID, deadline))
	require.Zero(s, s.ended(box.ID).ExitCode)
}

func (s *suite) exec() {
	box := s.start(s.hello("VERSION=one"))
	s.get(box, "/")
	c := s.inside(engine.Attach{}, box, testapp, "env", "GREETING", "VERSION")
	require.Zero(s, c.ends())
	require.Equal(s, "GREETING=hello\nVERSION=one\n", c.out.String())
	c = s.inside(engine.Attach{}, box, testapp, "exit", "9")
	require.Equal(s, 9, c.ends())
	c = s.inside(engine.Attach{Input: true}, box, testapp, "cat")
	c.types("in and out")
	require.NoError(s, c.CloseWrite())
	require.Zero(s, c.ends())
	require.Equal(s, "in and out", c.out.String())
	require.Equal(s, "one", s.get(box, "/"), "it goes on")
}

func (s *suite) execTerminal() {
	box := s.start(s.hello())
	c := s.inside(engine.Attach{Input: true, Terminal: true, Window: octo.Window{Columns: 101, Rows: 33}}, box, testapp, "window", "3")
	s.resized(c)
}

func (s *suite) execSignals() {
	box := s.start(s.hello())
	c := s.inside(engine.Attach{}, box, testapp, "signals", "2")
	c.hears("ready\n")
	for _, name := range []octo.SignalName{"INT", "TERM"} {
		require.NoError(s, c.Signal(c.ctx, name))
		c.hears(string(name) + "\n")
	}
	require.Zero(s, c.ends())
	c = s.inside(engine.Attach{}, box, testapp, "sleep", "1m")
	require.NoError(s, c.Signal(c.ctx, "KILL"))
	require.Equal(s, 137, c.ends())
	c = s.inside(engine.Attach{}, box, testapp, "sleep", "1m")
	require.NoError(s, s.Remove(s.Context(), box.ID))
	require.Equal(s, 137, c.ends(), "it ends with its container")
}

func (s *suite) execFails() {
	box := s.start(s.hello())
	c := s.inside(engine.Attach{}, box, "sh")
	c.refuses()
	c = s.inside(engine.Attach{Terminal: true, Input: true}, box, "sh")
	c.refuses()
	require.NoError(s, s.Stop(s.Context(), box.ID, deadline))
	_, err := s.Exec(s.Context(), box.ID, engine.ExecSpec{Command: []string{testapp, "exit", "0"}})
	require.ErrorIs(s, err, octo.ErrConflict)
	require.NoError(s, s.Remove(s.Context(), box.ID))
	_, err = s.Exec(s.Context(), box.ID, engine.ExecSpec{Command: []string{testapp, "exit", "0"}})
	require.ErrorIs(s, err, octo.ErrNotFound)
}
