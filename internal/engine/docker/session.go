package docker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
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
// three methods with simple answers do not justify the gRPC module.
type session struct {
	id      string
	secrets map[string][]byte // of RUN --mount=type=secret, by id
	server  *http.Server
	served  sync.WaitGroup
}

// openSession offers a session to the engine, on which it can ask for secrets.
// engine.ErrNoBuildKit says that it takes none.
func (e *Engine) openSession(ctx context.Context, secrets map[string][]byte) (*session, error) {
	s := &session{id: rand.Text(), secrets: secrets}
	conn, err := e.client.DialHijack(ctx, "/session", "h2c", map[string][]string{
		"X-Docker-Expose-Session-Uuid":        {s.id},
		"X-Docker-Expose-Session-Name":        {"octohost"},
		"X-Docker-Expose-Session-Grpc-Method": {healthMethod, credentialsMethod, secretMethod},
	})
	if err != nil {
		if _, pingErr := e.client.Ping(ctx, client.PingOptions{}); pingErr != nil {
			return nil, e.fail(pingErr, "build image")
		}
		return nil, engine.ErrNoBuildKit
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: http.HandlerFunc(s.answerBuildKit), Protocols: protocols} //nolint:gosec // the engine is trusted to be quick
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
	secretMethod      = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
)

// The status codes of gRPC that are answered.
const (
	grpcOK            = "0"
	grpcNotFound      = "5"
	grpcUnimplemented = "12"
)

// maxQuestion is the most that is read of a call, in bytes: a name, with annotations.
const maxQuestion = 64 << 10

// answerBuildKit answers one gRPC call.
func (s *session) answerBuildKit(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(io.LimitReader(r.Body, maxQuestion))
	if err != nil {
		return // the engine is lost, which shows in the build itself
	}
	w.Header().Set("Content-Type", "application/grpc")
	switch r.URL.Path {
	case healthMethod:
		answer(w, []byte{0x08, 0x01}) // status: SERVING
	case credentialsMethod:
		answer(w, nil) // no user, no secret: ask the registry as anybody
	case secretMethod:
		secret, ok := s.secrets[secretID(question)]
		if !ok { // an error of the step that needs it, unless that can do without
			w.Header().Set("Grpc-Status", grpcNotFound)
			return
		}
		answer(w, protobufBytes(1, secret))
	default:
		w.Header().Set("Grpc-Status", grpcUnimplemented)
	}
}

// grpcHead is how many bytes stand before a message: whether it is compressed, and
// its length.
const grpcHead = 5

// secretID returns the id in the message GetSecretRequest, or "".
func secretID(question []byte) (id string) {
	if len(question) < grpcHead {
		return ""
	}
	err := eachField(question[grpcHead:], func(number uint64, value field) error {
		if number == 1 {
			id = string(value.bytes)
		}
		return nil
	})
	if err != nil {
		return ""
	}
	return id
}

// protobufBytes encodes a message with one field of bytes.
func protobufBytes(number uint64, value []byte) []byte {
	const wire = 2
	head := binary.AppendUvarint(binary.AppendUvarint(nil, number<<3|wire), uint64(len(value)))
	return append(head, value...)
}

// answer sends a protobuf message.
func answer(w http.ResponseWriter, message []byte) {
	head := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) //nolint:gosec // a few hundred KiB at most
	_, _ = w.Write(append(head, message...))                               // a lost engine shows in the build itself
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", grpcOK)
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
