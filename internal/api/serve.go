package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// ServeLocal answers those who connect to l, a listener of ListenLocal, until ctx
// ends; it has closed l then. The kernel says who they are. The socket's
// permissions have let them in, so they are admins of this machine.
func (s *Server) ServeLocal(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := r.Context().Value(identityKey{}).(octo.Identity)
		s.Handler(who).ServeHTTP(w, r)
	}), func(ctx context.Context, conn net.Conn) context.Context {
		who, err := peer(conn)
		if err != nil {
			s.cfg.Log.Warn("peer of local socket is unknown", "err", err)
			return ctx // nobody: denied everything
		}
		return context.WithValue(ctx, identityKey{}, who)
	})
}

// ServeStream answers the requests that come over stream, any two-way stream such
// as an SSH channel, from who, until it ends or ctx does. It has closed stream then.
func (s *Server) ServeStream(ctx context.Context, stream io.ReadWriteCloser, who octo.Identity) error {
	near, far := net.Pipe() // has the deadlines that http.Server needs, and stream need not
	var copies sync.WaitGroup
	copies.Go(func() {
		_, _ = io.Copy(near, stream) // where it fails the stream is over
		_ = near.Close()             // a pipe closes without error
	})
	copies.Go(func() {
		_, _ = io.Copy(stream, near) // the same
		_ = stream.Close()           // nothing is buffered that could be lost
	})
	err := s.serve(ctx, newOneConn(far), s.Handler(who), nil)
	_ = far.Close() // a pipe closes without error
	copies.Wait()
	return err
}

// serve runs an http.Server on l until ctx ends or l does.
func (s *Server) serve(ctx context.Context, l net.Listener, h http.Handler, connContext func(context.Context, net.Conn) context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       connContext,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	go func() { // ends when ctx does, which is at the latest on return
		defer close(ended)
		<-ctx.Done()
		s.shutdown(srv)
	}()
	err := srv.Serve(l)
	cancel()
	<-ended
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// farewell is how long handlers get to say that octohost is stopping.
const farewell = 5 * time.Second

func (s *Server) shutdown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		s.cfg.Log.Warn("api handlers did not end", "err", err)
		_ = srv.Close() // the connections are cut; there is nobody left to tell
	}
}

// oneConn is a listener with a single connection. It ends when that does.
type oneConn struct {
	conn   net.Conn
	next   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newOneConn(conn net.Conn) *oneConn {
	l := &oneConn{conn: conn, next: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.next <- &announcedConn{Conn: conn, l: l}
	return l
}

// Accept returns the connection once, and then waits for its end.
func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.next:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the connection's own address.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// announcedConn ends its listener when it closes.
type announcedConn struct {
	net.Conn
	l *oneConn
}

// Close closes the connection and its listener.
func (c *announcedConn) Close() error {
	return errors.Join(c.Conn.Close(), c.l.Close())
}
