package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// hall counts client connections by what they do.
type hall struct {
	silent  crowd // wait for a request: their first one, or another
	busy    crowd // have a request that is being answered
	streams crowd // are answered for as long as they like: upgraded, or server-sent events
	late    crowd // the same, since the last call

	leaving atomic.Bool // every answer is the last one of its connection
	hurry   atomic.Bool // connections are being closed, and do not linger
}

// stream is where a connection is counted that becomes a stream.
func (h *hall) stream() *crowd {
	if h.leaving.Load() {
		return &h.late
	}
	return &h.streams
}

// watch is an http.Server's ConnState: it notes that an answer was sent to its end.
func (h *hall) watch(c net.Conn, s http.ConnState) {
	if conn, ok := c.(*clientConn); ok && s == http.StateIdle {
		conn.move(&h.silent)
	}
}

// newcomer is how long who was the last to be accepted has to send a request. It is
// more than the three round trips to a far phone that greetings in TLS take; and
// meanwhile others wait in the kernel, where they can be seen by a successor only.
const newcomer = time.Second

// moment is how long it may take until it is seen here that a connection was cut.
const moment = 200 * time.Millisecond

// lastCall lets connections end without anybody losing a request, while everything
// goes on. A request that meets the end of its connection is lost, so each is told in
// its next answer that it was the last, and those that say nothing get a moment to
// ask. The streams that there are get longer: only who ends octohost waits for them.
func (p *Proxy) lastCall() {
	p.conns.leaving.Store(true)
	p.conns.silent.goneWithin(p.limits.LastCall)
	p.conns.streams.goneWithin(p.limits.Shutdown)
}

// shutdown ends a server that accepts nobody any more: first in peace, then by
// cutting. It waits for requests, not for connections: browsers open some that they
// never use. It does so without http.Server.Shutdown, which throws away requests that
// it has read already.
func (p *Proxy) shutdown(srv *http.Server, cut context.CancelCauseFunc) error {
	p.conns.silent.goneWithin(newcomer)
	p.conns.busy.goneWithin(p.limits.Shutdown)
	p.conns.late.goneWithin(p.limits.LastCall)
	cut(errShutdown)
	p.conns.busy.goneWithin(moment)
	p.conns.hurry.Store(true)
	return errors.Join(srv.Close(), p.active.gone(context.Background()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
