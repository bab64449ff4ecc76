package git

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// serveHooks answers hooks until the listener is closed, and returns when all have
// been answered.
func (r *Repos) serveHooks() error {
	var hooks sync.WaitGroup
	defer hooks.Wait()
	for {
		conn, err := r.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept hook: %w", err)
		}
		hooks.Go(func() {
			if err := r.serveHook(conn); err != nil {
				r.log.Warn("hook not answered", "err", err)
			}
		})
	}
}

// serveHook answers one hook, if it speaks for a push that is under way.
func (r *Repos) serveHook(conn *net.UnixConn) (err error) {
	defer func() { err = errors.Join(err, conn.Close()) }()
	same, err := samePeer(conn)
	if err != nil {
		return fmt.Errorf("look who calls: %w", err)
	}
	if !same {
		return errors.New("somebody else's process has called")
	}
	// The hook has everything that it will send at hand: one deadline for all of it.
	if err := conn.SetReadDeadline(time.Now().Add(r.limits.hello)); err != nil {
		return err
	}
	id := make([]byte, idLength+1)
	if _, err := io.ReadFull(conn, id); err != nil {
		return fmt.Errorf("read id of the push: %w", err)
	}
	p, ok := r.pushes.claim(string(id[:idLength]))
	if !ok {
		return errors.New("no such push is under way")
	}
	defer p.settle()
	return r.answer(p, bufio.NewReader(conn), conn)
}
