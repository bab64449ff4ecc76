package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/octohost/octohost/internal/api"
)

// Run runs one command line, without the program's name, and returns its exit code.
func Run(ctx context.Context, args []string, env Env) int {
	s := &session{env: env}
	defer s.close()
	return s.run(ctx, args)
}

// Remote runs a command line inside the daemon for somebody who came over SSH; the
// client speaks with their permissions. Nothing but the API and stdio is within
// reach: no file, no environment, no other program.
func Remote(ctx context.Context, args []string, stdio Stdio, client *api.Client) int {
	s := &session{env: Env{Stdio: stdio}, inProcess: true, client: client}
	return s.run(ctx, args)
}

// RemoteCommands returns the names of all commands that Remote knows.
func RemoteCommands() []string {
	var names []string
	for _, cmd := range newRootCommand(&session{inProcess: true}).Commands() {
		names = append(names, cmd.Name())
	}
	return names
}

// session is one run of the command line: what it was given, and whom it asks.
type session struct {
	env       Env
	inProcess bool // in the daemon, for somebody who came over SSH

	app, host, socket string // the global flags
	json, noColor     bool

	args       []string    // the command line
	client     *api.Client // once it was needed
	git        *gitRemote  // once it was looked for
	completing bool        // a shell asks for completions: be quick and quiet
	serving    bool        // this is the daemon itself
	overSSH    bool        // the client reaches octohost through the user's ssh
	attending  bool        // somebody is attached to a program: signals are that one's
}

func (s *session) close() {
	if s.client != nil {
		s.client.Close()
	}
}

func (s *session) run(ctx context.Context, args []string) int {
	s.fill()
	s.args = args
	root := newRootCommand(s)
	words, err := s.joinWords(root, args)
	if err == nil {
		root.SetArgs(words)
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return exitOK
	}
	if s.interrupted(ctx) {
		return exitInterrupted
	}
	return s.report(err)
}

// interrupted reports whether a command failed because it was interrupted. Ctrl-C
// reaches the ssh below this process as well, whose end may be noticed first.
func (s *session) interrupted(ctx context.Context) bool {
	switch {
	case s.serving:
		return false
	case !s.overSSH:
		return ctx.Err() != nil
	}
	select {
	case <-ctx.Done():
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// fill puts harmless things where env has nothing.
func (s *session) fill() {
	if s.env.Getenv == nil {
		s.env.Getenv = func(string) string { return "" }
	}
	if s.env.Now == nil {
		s.env.Now = time.Now
	}
	if s.env.In == nil {
		s.env.In = eofReader{}
	}
	s.env.Out, s.env.Err = &pipeWriter{s.env.Out}, &pipeWriter{s.env.Err}
}

// eofReader has nothing to read.
type eofReader struct{}

// Read returns io.EOF.
func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// open returns the client of the octohost that the flags, the environment and the
// directory point to.
func (s *session) open(ctx context.Context) (*api.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	at, err := s.place(ctx)
	if err != nil {
		return nil, err
	}
	if at.host.Name == "" {
		s.client = api.NewClient(api.DialLocal(at.socket))
	} else {
		s.client, s.overSSH = api.NewClient(s.dialSSH(at.host)), true
	}
	s.client.Version = s.env.Version
	return s.client, nil
}

// errReaderGone says that whoever read the output has gone, as head(1) does. That is
// no failure.
var errReaderGone = errors.New("the reader of the output is gone")

// pipeWriter tells a reader that is gone from other failures to write.
type pipeWriter struct{ w io.Writer }

// Write writes p; the error is errReaderGone when nobody reads any more.
func (p *pipeWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err != nil && readerGone(err) {
		err = errReaderGone
	}
	return n, err
}
