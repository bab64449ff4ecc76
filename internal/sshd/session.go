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
	protocol string   // GIT_PROTOCOL
	terminal Terminal // the client has a terminal
}

// gitProtocol is all that the environment of a client may say.
var gitProtocol = regexp.MustCompile(`^version=[012]$`)

// serve answers the wishes of a session (RFC 4254 §6) until it ends. ctx is the
// daemon's, client ends when the client leaves.
func (s *session) serve(ctx, client context.Context, wishes <-chan *ssh.Request) {
	client, leave := context.WithCancel(client)
	defer leave()
	var command sync.WaitGroup
	defer command.Wait()
	started := false
	for w := range wishes {
		ok := false
		switch w.Type {
		case "env":
			var env struct{ Name, Value string }
			if ok = ssh.Unmarshal(w.Payload, &env) == nil && env.Name == "GIT_PROTOCOL" && gitProtocol.MatchString(env.Value); ok {
				s.protocol = env.Value
			}
		case "pty-req":
			s.terminal, ok = true, true
		case "window-change", "signal":
			if w.Type == "signal" {
				leave()
			}
			ok = true
		case "exec", "shell":
			var exec struct{ Line string }
			if w.Type == "exec" && ssh.Unmarshal(w.Payload, &exec) != nil {
				break
			}
			if ok = !started; ok {
				started = true
				command.Go(func() { s.run(ctx, client, leave, exec.Line) })
			}
		}
		if w.WantReply {
			_ = w.Reply(ok, nil) // the client has left otherwise, and the loop ends
		}
	}
	leave()
}

// run runs the session's command and tells its exit status.
func (s *session) run(ctx, client context.Context, interrupt func(), line string) {
	status := s.dispatch(ctx, client, interrupt, line)
	_ = s.channel.CloseWrite()                                                                       // EOF before the status, as OpenSSH does
	_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status})) // the client may have left
	_ = s.channel.Close()
}

// stdio returns the streams of the session.
func (s *session) stdio() octo.Stdio {
	return octo.Stdio{In: s.channel, Out: s.channel, Err: s.channel.Stderr()}
}

// terminalStdio returns the streams of a session with a terminal, in which Ctrl-C
// comes as a character.
func (s *session) terminalStdio(interrupt func()) octo.Stdio {
	in, typed := io.Pipe()
	s.sessions.Go(func() { // ends when the channel is closed
		buffer := make([]byte, 1024)
		for {
			n, err := s.channel.Read(buffer)
			for _, c := range buffer[:n] {
				if c == 3 { // Ctrl-C
					interrupt()
				}
			}
			if err != nil {
				_ = typed.CloseWithError(err) // always nil
				return
			}
		}
	})
	return octo.Stdio{In: in, Out: crlf{s.channel}, Err: crlf{s.channel.Stderr()}}
}
