package sshd

import (
	"context"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// connection is one client that has proved who it is.
type connection struct {
	server      *Server
	ssh         *ssh.ServerConn
	fingerprint string
	came        octo.Identity  // who it was when they came, without where from
	tally       *tally         // sessions that are open
	work        sync.WaitGroup // what they run
}

// serve answers a client's channels until it leaves or the daemon ends.
func (c *connection) serve(ctx context.Context, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	client, leave := context.WithCancel(context.WithoutCancel(ctx)) // ends when the client has left
	defer leave()
	var own sync.WaitGroup
	own.Go(func() { ssh.DiscardRequests(requests) })
	own.Go(func() { c.farewell(ctx, client) })
	own.Go(func() { c.watch(client) })
	for offered := range channels {
		c.accept(ctx, client, offered)
	}
	leave()
	c.work.Wait()
	own.Wait()
}

// accept opens a session, if that is what the client wants, and may have.
func (c *connection) accept(ctx, client context.Context, offered ssh.NewChannel) {
	if offered.ChannelType() != "session" {
		_ = offered.Reject(ssh.UnknownChannelType, "only sessions: no forwarding here") // the client has left otherwise
		return
	}
	if !c.tally.enter() {
		_ = offered.Reject(ssh.ResourceShortage, "too many sessions on this connection, or octohost is shutting down")
		return
	}
	channel, wishes, err := offered.Accept()
	if err != nil { // the client has left
		c.tally.leave()
		return
	}
	c.work.Go(func() {
		defer c.tally.leave()
		(&session{connection: c, channel: channel, outlet: &outlet{channel: channel}}).serve(ctx, client, wishes)
	})
}

// farewell closes the connection when the daemon ends: after the pushes under way,
// or when they take too long. Every other session has ended with the daemon.
func (c *connection) farewell(ctx, client context.Context) {
	select {
	case <-client.Done():
		return
	case <-ctx.Done():
	}
	late := time.NewTimer(c.server.cfg.Limits.Farewell)
	defer late.Stop()
	select {
	case <-c.tally.end():
	case <-late.C:
	case <-client.Done():
	}
	_ = c.ssh.Close() // the client may have closed it already
}

// watch closes the connection of a client that has vanished without a word, and of
// one that wants nothing for long.
func (c *connection) watch(client context.Context) {
	limits := c.server.cfg.Limits
	tick := time.NewTicker(limits.Alive)
	defer tick.Stop()
	for {
		select {
		case <-client.Done():
			return
		case <-tick.C:
		}
		if c.tally.idle() > limits.Idle || !c.alive(limits.Alive) {
			_ = c.ssh.Close() // the client may have closed it already
			return
		}
	}
}

// alive asks the client whether it is there. Any answer will do.
func (c *connection) alive(patience time.Duration) bool {
	late := time.AfterFunc(patience, func() { _ = c.ssh.Close() })
	_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
	return late.Stop() && err == nil
}
