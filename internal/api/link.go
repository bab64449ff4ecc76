package api

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
)

// link is a connection of a Client that tells when it is over. Whether the other side
// is gone or the request was given up, net/http closes the connection at once, but then
// it waits for a request's body that is still to come: see untilOver.
type link struct {
	net.Conn
	once sync.Once
	over chan struct{} // closed by Close
}

func newLink(conn net.Conn) *link { return &link{Conn: conn, over: make(chan struct{})} }

// Close closes the connection.
func (l *link) Close() error {
	l.once.Do(func() { close(l.over) })
	return l.Conn.Close()
}

// untilOver returns a context for a request whose connection calls lost when it is over.
// Nothing is called any more once stop has returned.
func untilOver(ctx context.Context, lost func()) (_ context.Context, stop func()) {
	ended := make(chan struct{})
	var watching sync.WaitGroup
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		l, ok := info.Conn.(*link)
		if !ok {
			return
		}
		watching.Go(func() {
			select {
			case <-l.over:
				lost()
			case <-ended:
			}
		})
	}})
	return ctx, func() {
		close(ended)
		watching.Wait()
	}
}
