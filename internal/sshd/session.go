package sshd

import (
	"context"
	"io"
	"regexp"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// session is one channel of a client: it asks for one command, which runs.
type session struct {
	*connection
	channel  ssh.Channel
	outlet   *outlet  // the channel's outgoing half
	protocol string   // GIT_PROTOCOL
	terminal Terminal // the client has a terminal
	console  console
	started  bool // the command runs: nothing above changes any more
	command  sync.WaitGroup
}

// gitProtocol is all that the environment of a client may say.
var gitProtocol = regexp.MustCompile(`^version=[012]$`)

// serve answers the wishes of a session (RFC 4254 §6) until it ends. ctx is the
// daemon's, client ends when the client leaves.
func (s *session) serve(ctx, client context.Context, wishes <-chan *ssh.Request) {
	client, leave := context.WithCancel(client)
	defer s.command.Wait()
	defer leave()
	over := ctx.Done()
	for {
		select {
		case w, open := <-wishes:
			if !open {
				_ = s.channel.Close() // the command may have done so
				return
			}
			s.answer(ctx, client, leave, w)
		case <-over:
			over = nil
			if !s.started { // nothing to wait for
				_ = s.channel.Close() // the client may have left
			}
		}
	}
}

// answer grants one wish, or not.
func (s *session) answer(ctx, client context.Context, leave func(), w *ssh.Request) {
	line, run, ok := s.grant(w, leave)
	if w.WantReply {
		_ = w.Reply(ok, nil) // the client has left otherwise, which serve will see
	}
	if run {
		s.started = true
		s.command.Go(func() { s.run(ctx, client, leave, line) })
	}
}

// grant decides on one wish; run says that line is to be run for it.
func (s *session) grant(w *ssh.Request, leave func()) (line string, run, ok bool) {
	switch w.Type {
	case "exec":
		var exec struct{ Line string }
		ok = !s.started && ssh.Unmarshal(w.Payload, &exec) == nil
		return exec.Line, ok, ok
	case "shell":
		return "", !s.started, !s.started
	case "env":
		var env struct{ Name, Value string }
		ok = !s.started && ssh.Unmarshal(w.Payload, &env) == nil && env.Name == "GIT_PROTOCOL" && gitProtocol.MatchString(env.Value)
		if ok {
			s.protocol = env.Value
		}
	case "pty-req":
		if ok = !s.started && s.console.open(w.Payload); ok {
			s.terminal = true
		}
	case "window-change":
		ok = s.console.resize(w.Payload)
	case "signal":
		ok = s.signal(w.Payload, leave)
	}
	return "", false, ok
}

// signal takes a signal: it is for the program that has the console, or else ends the
// command.
func (s *session) signal(payload []byte, leave func()) bool {
	var signal struct{ Name string }
	if ssh.Unmarshal(payload, &signal) != nil {
		return false
	}
	name, err := octo.ParseSignal(signal.Name)
	if err != nil {
		return false
	}
	if s.console.signal(name) {
		return true
	}
	if ends(name) {
		leave()
	}
	return ends(name)
}

// run runs the session's command and tells its exit status.
func (s *session) run(ctx, client context.Context, interrupt func(), line string) {
	status := s.dispatch(ctx, client, interrupt, line)
	if s.console.keys != nil {
		s.console.keys.close()
	}
	// As OpenSSH does: the end of the output, the status, the end of the session. The
	// client may have left before any of it.
	s.outlet.end()
	_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
	_ = s.channel.Close()
}

// stdio returns the streams of the session.
func (s *session) stdio() octo.Stdio {
	return octo.Stdio{In: s.channel, Out: s.outlet.to(s.channel), Err: s.outlet.to(s.channel.Stderr()), Console: &s.console}
}

// terminalStdio returns the streams of a session with a terminal. Ctrl-C comes as a
// character there: for the program that has the console, or else for interrupt.
func (s *session) terminalStdio(interrupt func()) octo.Stdio {
	out := crlf{w: s.outlet.to(s.channel), raw: &s.console.raw} // a terminal has one stream
	keys := newKeyboard(out, func() {
		if !s.console.signal("INT") {
			interrupt()
		}
	})
	s.console.keys = keys
	s.command.Go(func() { keys.read(s.channel) }) // ends when the channel is closed
	return octo.Stdio{In: keys, Out: out, Err: out, Console: &s.console}
}

// say returns where to write what the door itself says.
func (s *session) say() io.Writer {
	if s.terminal {
		return crlf{w: s.outlet.to(s.channel)}
	}
	return s.outlet.to(s.channel.Stderr())
}

// outlet is the outgoing half of a channel. Some may still write to it while it is
// being ended, such as a push that goes on without its client; a channel by itself
// does not allow that.
type outlet struct {
	channel ssh.Channel
	mu      sync.RWMutex
	ended   bool
}

// end says that nothing more comes, after what is being written.
func (o *outlet) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	_ = o.channel.CloseWrite() // the client may have left
}

// to returns a writer to one stream of the channel, which fails after the end.
func (o *outlet) to(stream io.Writer) io.Writer { return tap{o, stream} }

// tap is one stream of an outlet.
type tap struct {
	outlet *outlet
	stream io.Writer
}

// Write writes b, or fails after the outlet's end.
func (t tap) Write(b []byte) (int, error) {
	t.outlet.mu.RLock()
	defer t.outlet.mu.RUnlock()
	if t.outlet.ended {
		return 0, io.ErrClosedPipe
	}
	return t.stream.Write(b)
}
