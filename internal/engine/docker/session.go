package docker

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
)

// A session is the line on which BuildKit calls back while it builds. Without one
// it refuses to pull base images ("no active sessions"), because it would ask for
// the credentials of the registry there. BuildKit is the client on it, in gRPC
// over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md);
// two methods with constant answers do not justify the gRPC module.
type session struct {
	id     string
	server *http.Server
	served sync.WaitGroup
}

// openSession offers a session to the engine. engine.ErrNoBuildKit says that it
// takes none.
func (e *Engine) openSession(ctx context.Context) (*session, error) {
	s := &session{id: rand.Text()}
	conn, err := e.client.DialHijack(ctx, "/session", "h2c", map[string][]string{
		"X-Docker-Expose-Session-Uuid":        {s.id},
		"X-Docker-Expose-Session-Name":        {"octohost"},
		"X-Docker-Expose-Session-Grpc-Method": {healthMethod, credentialsMethod},
	})
	if err != nil {
		if _, pingErr := e.client.Ping(ctx, client.PingOptions{}); pingErr != nil {
			return nil, e.fail(pingErr, "build image")
		}
		return nil, engine.ErrNoBuildKit
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: http.HandlerFunc(answerBuildKit), Protocols: protocols} //nolint:gosec // the engine is trusted to be quick
	s.served.Go(func() { _ = s.server.Serve(&oneConn{conn: conn, closed: make(chan struct{})}) })
	return s, nil
}

// Close ends the session and waits until nothing of it runs.
func (s *session) Close() {
	_ = s.server.Close() // it closes a connection that is done with
	s.served.Wait()
}

const (
	healthMethod      = "/grpc.health.v1.Health/Check"
	credentialsMethod = "/moby.filesync.v1.Auth/Credentials"
)

// answerBuildKit answers one gRPC call.
func answerBuildKit(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the answers do not depend on the question
	w.Header().Set("Content-Type", "application/grpc")
	switch r.URL.Path {
	case healthMethod:
		answer(w, []byte{0x08, 0x01}) // status: SERVING
	case credentialsMethod:
		answer(w, nil) // no user, no secret: ask the registry as anybody
	default:
		w.Header().Set("Grpc-Status", "12") // UNIMPLEMENTED
	}
}

// answer sends a protobuf message that is shorter than 256 bytes.
func answer(w http.ResponseWriter, message []byte) {
	_, _ = w.Write(append([]byte{0, 0, 0, 0, byte(len(message))}, message...)) // a lost engine shows in the build itself
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

// oneConn is a listener that accepts one connection, which is there already.
type oneConn struct {
	conn   net.Conn
	taken  bool
	closed chan struct{}
	once   sync.Once
}

// Accept returns the connection, and then waits for Close.
func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken { // only Serve calls it, one at a time
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

// Close ends Accept.
func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the connection's own address.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
