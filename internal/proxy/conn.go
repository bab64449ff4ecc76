package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// steadyConn is a connection on which a write that makes no headway for stall
// fails. It is one of the two ways in which a peer that stops reading is noticed
// (the other is TCP's own keep-alive, for one that is gone).
type steadyConn struct {
	net.Conn
	stall    time.Duration
	deadline atomic.Int64 // of writes, Unix nanoseconds
}

// Write sets the deadline anew, but not for each of many writes in a short time.
func (c *steadyConn) Write(p []byte) (int, error) {
	now := time.Now()
	if c.deadline.Load() < now.Add(c.stall*3/4).UnixNano() {
		until := now.Add(c.stall)
		if err := c.Conn.SetWriteDeadline(until); err != nil {
			return 0, err
		}
		c.deadline.Store(until.UnixNano())
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline leaves writes to the rule above; net/http calls it only to take
// deadlines away.
func (c *steadyConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the deadline of reads.
func (c *steadyConn) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }

// CloseWrite tells the peer that nothing more comes.
func (c *steadyConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// clientConn is a connection of a client.
type clientConn struct {
	steadyConn
	l      *listener
	spent  atomic.Bool
	closed atomic.Bool

	mu     sync.Mutex
	within *crowd // of the listener's hall; nil once it is closed
}

// move counts the connection in another crowd, unless it is closed.
func (c *clientConn) move(to *crowd) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.within == nil || c.within == to {
		return
	}
	to.enter()
	c.within.leave()
	c.within = to
}

// leave gives the connection's place back.
func (c *clientConn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.within.leave()
	c.within = nil
	c.l.leave()
}

// lingering is how long a connection whose request was not read to its end is
// still read from, so that the client gets to see the answer: closing at once
// would make its kernel throw the answer away (RFC 9112 §9.6).
const lingering = 2 * time.Second

// spend makes the connection end after the present answer: nothing more is read
// from it, and so nothing that was meant as a body is taken for a request.
func (c *clientConn) spend() {
	c.spent.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // a closed connection is as good
}

// abort ends the connection without regard to what is on its way.
func (c *clientConn) abort() {
	_ = c.Conn.Close() // once more by Close
}

// Read reads, until the connection is spent.
func (c *clientConn) Read(p []byte) (int, error) {
	if c.spent.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// Close closes the connection; a spent one after its client had time to read, unless
// everything is being closed.
func (c *clientConn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return c.Conn.Close()
	}
	defer c.leave()
	if c.spent.Load() && !c.l.hall.hurry.Load() && c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingering)) // a closed connection is as good
		_, _ = io.Copy(io.Discard, c.Conn)               // ends by any error
	}
	return c.Conn.Close()
}

// listener accepts clientConns, at most so many at one time.
type listener struct {
	net.Listener
	hall   *hall
	stall  time.Duration
	places chan struct{} // nil means no limit
	closed chan struct{}
	once   sync.Once
}

func newListener(l net.Listener, limits Limits, h *hall) *listener {
	out := &listener{Listener: l, hall: h, stall: limits.WriteStall, closed: make(chan struct{})}
	if limits.Connections > 0 {
		out.places = make(chan struct{}, limits.Connections)
	}
	return out
}

// Accept waits for a place, then for a client.
func (l *listener) Accept() (net.Conn, error) {
	if l.places != nil {
		select {
		case l.places <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		l.leave()
		return nil, err
	}
	l.hall.silent.enter()
	return &clientConn{steadyConn: steadyConn{Conn: conn, stall: l.stall}, l: l, within: &l.hall.silent}, nil
}

func (l *listener) leave() {
	if l.places != nil {
		<-l.places
	}
}

// Close stops accepting.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type connKey struct{}

// withConn is an http.Server's ConnContext: it lets a request find its connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection of a request.
func connOf(r *http.Request) *clientConn {
	c, _ := r.Context().Value(connKey{}).(*clientConn)
	return c
}
