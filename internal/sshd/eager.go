package sshd

import (
	"net"
	"sync/atomic"
	"syscall"
)

// eager acknowledges what it reads at once, while a client is a stranger. OpenSSH's
// client lets Nagle's algorithm hold back small packets until the session starts, and
// does so behind packets that need no answer, twice in a handshake: each time it would
// wait for the 40 ms by which the kernel delays an acknowledgement that no data goes
// along with.
type eager struct {
	net.Conn
	raw   syscall.RawConn // nil where that cannot be done
	tired atomic.Bool
}

func newEager(conn net.Conn) *eager {
	e := &eager{Conn: conn}
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			e.raw = raw
		}
	}
	return e
}

// Read reads, and acknowledges.
func (e *eager) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	if err == nil && e.raw != nil && !e.tired.Load() {
		acknowledge(e.raw)
	}
	return n, err
}

// rest leaves acknowledging to the kernel from now on.
func (e *eager) rest() { e.tired.Store(true) }
