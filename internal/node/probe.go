package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

const (
	// checkTimeout is how long one health check may take.
	checkTimeout = 5 * time.Second
	// knockTimeout is how long one attempt to connect may take while an instance
	// starts. A bridge answers within a millisecond; a packet that was lost because
	// the container's interface was not up yet would only be sent again after 1 s.
	knockTimeout = 300 * time.Millisecond
	maxHead      = 64 << 10 // bytes of an answer's head
	maxInterim   = 8        // answers of 1xx before the real one
)

// target is where and how to ask how an instance is.
type target struct {
	kind    octo.CheckKind
	address string // host:port; empty where the instance has no port
	host    string // for the Host header
	path    string

	container string   // where a command runs
	command   []string // argv
}

// ask checks an instance once from outside: connect, and for http GET its path. Nothing
// is followed, and no body is read.
func ask(ctx context.Context, t target, connect, limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := (&net.Dialer{Timeout: connect}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return answer{seen: seenDialError(err)}
	}
	defer conn.Close() //nolint:errcheck // nothing was promised on it
	if t.kind != octo.CheckHTTP {
		return answer{seen: seenOpen}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return get(ctx, conn, t)
}

// knock reports whether something accepts connections at an address.
func knock(ctx context.Context, address string, limit time.Duration) bool {
	conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}

// get asks on a connection that is open.
func get(ctx context.Context, conn net.Conn, t target) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.host+t.path, nil)
	if err != nil {
		return answer{seen: seenGarbage, detail: "the health path cannot be asked for"}
	}
	req.Header.Set("User-Agent", "octohost-health")
	req.Close = true
	if err := req.Write(conn); err != nil {
		return answer{seen: seenReadError(err)}
	}
	head := bufio.NewReader(io.LimitReader(conn, maxHead))
	for range maxInterim {
		resp, err := http.ReadResponse(head, req)
		if err != nil {
			return answer{seen: seenReadError(err)}
		}
		_ = resp.Body.Close() // it is not wanted
		if resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return answer{seen: seenAnswer, status: resp.StatusCode, location: resp.Header.Get("Location")}
		}
	}
	return answer{seen: seenGarbage}
}

func seenDialError(err error) seen {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return seenRefused
	case errors.As(err, &timeout) && timeout.Timeout():
		return seenNothing
	}
	return seenUnreachable
}

func seenReadError(err error) seen {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return seenSlow
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return seenClosed
	}
	return seenGarbage
}

// seen is what a check met.
type seen uint8

const (
	seenNothing     seen = iota // no answer to the attempt to connect
	seenRefused                 // nothing listens
	seenUnreachable             // no way to the address
	seenAnswer                  // an HTTP answer
	seenSlow                    // connected, but no answer in time
	seenClosed                  // connected, and closed without an answer
	seenGarbage                 // an answer that is not HTTP
	seenOpen                    // a connection, and nothing more was asked for
	seenExit                    // a command that ended
	seenStuck                   // a command that did not end in time
	seenUnheard                 // nothing: the engine could not run the command
)

// connected reports whether something accepted the connection.
func (s seen) connected() bool { return s >= seenAnswer && s <= seenOpen }

// answer is the result of one check.
type answer struct {
	seen     seen
	status   int    // of HTTP, or the exit code
	location string // where a redirect points to
	detail   string // what a command printed, or was wrong with it
}

// good reports whether an instance that answers so is healthy.
func (a answer) good() bool {
	switch a.seen {
	case seenAnswer:
		return a.status < 500
	case seenExit:
		return a.status == 0
	}
	return a.seen == seenOpen
}

// describe says what happened, for a transcript.
func (a answer) describe(t target) string {
	path := t.path
	switch a.seen {
	case seenRefused:
		return "connection refused"
	case seenUnreachable:
		return "no way to the container's address"
	case seenAnswer:
		return fmt.Sprintf("GET %s answered %d", path, a.status)
	case seenSlow:
		return fmt.Sprintf("connected, GET %s got no answer in time", path)
	case seenClosed:
		return fmt.Sprintf("connected, GET %s: the connection was closed without an answer", path)
	case seenGarbage:
		if a.detail != "" {
			return a.detail
		}
		return fmt.Sprintf("connected, GET %s: the answer is not HTTP", path)
	case seenOpen:
		return "connected"
	case seenExit:
		return strings.TrimSuffix(fmt.Sprintf("%s ended with exit code %d: %s", commandLine(t.command), a.status, a.detail), ": ")
	case seenStuck:
		return strings.TrimSuffix(fmt.Sprintf("%s did not end in time: %s", commandLine(t.command), a.detail), ": ")
	case seenUnheard:
		return a.detail
	}
	return "no answer to the attempt to connect"
}

// note is what is worth knowing about an instance that is healthy.
func (a answer) note(path string) string {
	const (
		rule   = "counted as healthy, any answer below 500 is"
		remedy = "set [deploy] health_path to check another"
	)
	switch {
	case a.status >= 400:
		return fmt.Sprintf("GET %s answered %d: %s; %s", path, a.status, rule, remedy)
	case a.status >= 300 && strings.HasPrefix(strings.ToLower(a.location), "https://"):
		return fmt.Sprintf("GET %s answered %d, a redirect to https: %s; %s", path, a.status, rule, remedy)
	}
	return ""
}
