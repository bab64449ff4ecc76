package sshd

import (
	"context"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
)

// connection is one client that has proved who it is.
type connection struct {
	server      *Server
	ssh         *ssh.ServerConn
	fingerprint string
	sessions    sync.WaitGroup
}

// serve answers a client's channels until it leaves or the daemon ends.
func (c *connection) serve(ctx context.Context, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	client, leave := context.WithCancel(context.WithoutCancel(ctx)) // ends when the client has left
	defer leave()
	var own sync.WaitGroup
	own.Go(func() { ssh.DiscardRequests(requests) })
	own.Go(func() { c.farewell(ctx, client) })

	free := make(chan struct{}, c.server.cfg.Limits.Sessions)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "only sessions: no forwarding here") // the client has left otherwise
			continue
		}
		select {
		case free <- struct{}{}:
		default:
			_ = offered.Reject(ssh.ResourceShortage, "too many sessions on this connection")
			continue
		}
		channel, wishes, err := offered.Accept()
		if err != nil {
			<-free
			continue
		}
		c.sessions.Go(func() {
			defer func() { <-free }()
			(&session{connection: c, channel: channel}).serve(ctx, client, wishes)
		})
	}
	leave()
	c.sessions.Wait()
	own.Wait()
}

// farewell closes the connection when the daemon ends: after the pushes under way,
// or when they take too long. Every other session has ended with the daemon.
func (c *connection) farewell(ctx, client context.Context) {
	select {
	case <-client.Done():
		return
	case <-ctx.Done():
	}
	over := make(chan struct{})
	go func() { // ends with the sessions, which at the latest the closing of the connection ends
		c.sessions.Wait()
		close(over)
	}()
	late, cancel := context.WithTimeout(client, c.server.cfg.Limits.Farewell)
	defer cancel()
	select {
	case <-over:
	case <-late.Done():
	}
	_ = c.ssh.Close() // the client may have closed it already
	<-over
}

// crlf makes the line ends that a terminal in raw mode wants: there is no terminal
// driver on our side that would.
type crlf struct{ w io.Writer }

// Write writes b with each line feed preceded by a carriage return.
func (c crlf) Write(b []byte) (int, error) {
	out := make([]byte, 0, len(b)+16)
	for _, x := range b {
		if x == '\n' {
			out = append(out, '\r')
		}
		out = append(out, x)
	}
	if _, err := c.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
