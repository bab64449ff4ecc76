package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// What a hook learns from its environment.
const (
	envSocket = "OCTO_HOOK_SOCKET"
	envPush   = "OCTO_HOOK_PUSH"
)

// The streams from the daemon to a hook: the first byte of each packet. A flush
// packet says that the answer is whole.
const (
	bandOut = "\x01"
	bandErr = "\x02"
)

// Hook is what "octo hook proc-receive" runs, started by git: it connects git with
// the daemon, which decides. It returns the exit status.
func Hook(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := runHook(ctx, args, env, stdin, stdout, stderr)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, " !     octohost: %v\n", err) // nobody else to tell
	return 1
}

func runHook(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) != 1 || args[0] != "proc-receive" {
		return fmt.Errorf("there is no such hook: %q", args)
	}
	socket, push := lookup(env, envSocket), lookup(env, envPush)
	if socket == "" || push == "" {
		return errors.New("this hook is run by git, during a push")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("reach the daemon: %w", err)
	}
	defer func() { _ = conn.Close() }() // everything has been said by then
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, push+"\n"); err != nil {
		return fmt.Errorf("reach the daemon: %w", err)
	}
	// Git's side ends with git, which waits for this process: nobody waits for the copy.
	go func() { _, _ = io.Copy(conn, stdin) }()
	return relay(bufio.NewReader(conn), stdout, stderr)
}

// relay copies the daemon's answer until its end.
func relay(from *bufio.Reader, stdout, stderr io.Writer) error {
	for {
		data, err := readPkt(from)
		switch {
		case errors.Is(err, errFlush):
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return errors.New("the daemon has stopped; what it was doing goes on when it is back (see: octo releases)")
		case err != nil:
			return fmt.Errorf("read the daemon's answer: %w", err)
		case len(data) == 0:
			continue
		}
		to := stdout
		if string(data[:1]) == bandErr {
			to = stderr
		}
		if _, err := to.Write(data[1:]); err != nil {
			return fmt.Errorf("write to git: %w", err)
		}
	}
}

// lookup returns the value of a variable in an environment.
func lookup(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}
