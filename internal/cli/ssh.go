package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// apiCommand is what an octohost is asked for over SSH: HTTP on stdin and stdout.
const apiCommand = "octo-api"

// dialSSH returns a dial function whose connection is the user's own ssh, with their
// agent, configuration and known hosts. OCTO_SSH_PROGRAM names another one to use.
func (s *session) dialSSH(h host) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		program := s.env.Getenv("OCTO_SSH_PROGRAM")
		if program == "" {
			program = "ssh"
		}
		said := &tail{}
		var stderr io.Writer = io.MultiWriter(s.env.Err, said)
		if s.completing {
			stderr = said
		}
		start := func() (net.Conn, error) {
			return startProcess(exec.Command(program, sshArgs(h, s.completing)...), stderr, func(err error) error {
				return explainSSH(h, said.String(), err)
			})
		}
		if s.attending && s.env.Shield != nil {
			return s.env.Shield(start)
		}
		return start()
	}
}

// sshArgs returns the arguments for ssh. In a batch nobody can be asked anything.
// Nothing is forwarded, and what the user's configuration would run is not.
func sshArgs(h host, batch bool) []string {
	args := []string{"-T", "-x", "-a", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"}
	if batch {
		args = append(args, "-o", "BatchMode=yes", "-o", "ConnectTimeout=2")
	}
	if h.Port != 0 {
		args = append(args, "-p", strconv.Itoa(h.Port))
	}
	return append(args, "--", h.User+"@"+h.Name, apiCommand)
}

// explainSSH puts the end of ssh into words. said is what it has printed.
func explainSSH(h host, said string, err error) error {
	unavailable := func(hint, format string, args ...any) error {
		return octo.Errorf(octo.ErrUnavailable, format, args...).WithHint("%s", hint)
	}
	at := h.address()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return unavailable("install OpenSSH's client, or name another one in OCTO_SSH_PROGRAM", "there is no ssh on this machine")
	case strings.Contains(said, "Permission denied ("):
		return octo.Errorf(octo.ErrDenied, "%s does not know your key", at).
			WithHint("an admin of it admits you with: octo keys:add, and your ~/.ssh/id_ed25519.pub")
	case strings.Contains(said, "Host key verification failed"), strings.Contains(said, "HOST IDENTIFICATION HAS CHANGED"):
		return octo.Errorf(octo.ErrDenied, "it is not certain that %s is who it says", at).
			WithHint("compare its key, and accept it once by hand with: ssh %s version", strings.Join(sshDestination(h), " "))
	case strings.Contains(said, "Could not resolve hostname"):
		return unavailable("is its name written correctly?", "there is no host %s", h.Name)
	case strings.Contains(said, "Connection refused"):
		return unavailable("is octo serve running there, and is that the port of its --ssh?", "nothing listens at %s", at)
	case strings.Contains(said, "timed out"):
		return unavailable("is it up, and does a firewall let that port through?", "%s does not answer", at)
	case strings.Contains(said, "not found"):
		return unavailable("the port of octo serve --ssh is usually 2222: "+host{h.User, h.Name, 2222}.String(), "%s is no octohost", at)
	}
	return unavailable("try: ssh "+strings.Join(sshDestination(h), " ")+" version", "the connection to %s ended (%v)", at, err)
}

// sshDestination returns what a person would type after ssh.
func sshDestination(h host) []string {
	dest := []string{h.User + "@" + h.Name}
	if h.Port != 0 {
		return append([]string{"-p", strconv.Itoa(h.Port)}, dest...)
	}
	return dest
}

// processConn is a connection over the stdin and stdout of a program.
type processConn struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     io.ReadCloser
	explain func(error) error

	closing sync.Once
	ended   error // how the program ended; set once closing is done
}

// processGrace is how long a program may take to end by itself.
const processGrace = 2 * time.Second

// startProcess starts a program as a connection. When the program ends with a
// failure, reading and writing return what explain makes of it.
func startProcess(cmd *exec.Cmd, stderr io.Writer, explain func(error) error) (net.Conn, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cmd.Path, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cmd.Path, err)
	}
	cmd.Stderr = stderr
	cmd.WaitDelay = processGrace // a shared connection that ssh leaves behind keeps stderr open
	if err := cmd.Start(); err != nil {
		return nil, explain(err)
	}
	return &processConn{cmd: cmd, in: in, out: out, explain: explain}, nil
}

// end closes the program's input, waits for its end, and returns how that was.
func (c *processConn) end() error {
	c.closing.Do(func() {
		_ = c.in.Close() // it may have ended already
		kill := time.AfterFunc(processGrace, func() { _ = c.cmd.Process.Kill() })
		defer kill.Stop()
		c.ended = c.cmd.Wait()
	})
	return c.ended
}

// Read reads what the program writes.
func (c *processConn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if err != nil {
		err = c.because(err)
	}
	return n, err
}

// Write writes to the program.
func (c *processConn) Write(p []byte) (int, error) {
	n, err := c.in.Write(p)
	if err != nil {
		err = c.because(err)
	}
	return n, err
}

// because returns the reason of a failure, which is that of the program where it has
// one.
func (c *processConn) because(err error) error {
	var exit *exec.ExitError
	if errors.As(c.end(), &exit) {
		return c.explain(exit)
	}
	return err
}

// Close ends the program and waits for it.
func (c *processConn) Close() error {
	_ = c.out.Close() // a program that goes on writing ends of it
	_ = c.end()       // a program that is told to end may say so
	return nil
}

// LocalAddr returns a name for this end.
func (c *processConn) LocalAddr() net.Addr { return processAddr("octo") }

// RemoteAddr returns the program's path.
func (c *processConn) RemoteAddr() net.Addr { return processAddr(c.cmd.Path) }

// SetDeadline is not supported; closing the connection ends every call.
func (c *processConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline is not supported either.
func (c *processConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline is not supported either.
func (c *processConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// processAddr names an end of a processConn.
type processAddr string

// Network returns "process".
func (processAddr) Network() string { return "process" }

// String returns the name.
func (a processAddr) String() string { return string(a) }

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// maxTail is how much a tail keeps, in bytes.
const maxTail = 8 << 10

// Write keeps p.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - maxTail; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
