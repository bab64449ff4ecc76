package proxy

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// exchange is one request and what becomes of it. It stands between the server and
// the forwarder as the http.ResponseWriter, so that it sees what is answered.
type exchange struct {
	p    *Proxy
	w    http.ResponseWriter
	in   *http.Request // as it came
	out  *http.Request // the same, under ctx and with the body under watch
	conn *clientConn

	ctx    context.Context
	cancel context.CancelCauseFunc

	id      string
	start   time.Time
	host    string // canonical
	peer    netip.Addr
	trusted bool

	site    *site    // nil while the host is unknown
	backend *backend // the last one that was tried
	upload  *upload  // nil when there is no body

	tried    []*backend
	triedBuf [4]*backend
	retries  int
	reused   bool // the last attempt went over a connection that had been used before
	held     time.Duration
	failure  error  // why the last attempt had no answer
	why      reason // of the page that was sent instead of an answer
	client   string // as X-Forwarded-For says it; empty until somebody was asked

	status    int // sent to the client, without 1xx; 0 means nothing yet
	sent      atomic.Int64
	received  atomic.Int64 // from an upgraded client
	connected time.Time    // the last attempt had a connection
	answered  time.Time    // first byte from the app
	broken    error        // the first write to the client that failed
	silence   *time.Timer  // ends the exchange unless something is sent or received; nil: nothing does
	upgraded  bool
	finished  bool // the handler did not panic
}

// The causes that end a request other than its own end.
var (
	errCut      = errors.New("the instance was stopped while the request was in flight")
	errShutdown = errors.New("octohost is shutting down")
	errSilent   = errors.New("nothing was sent for too long")
)

type exchangeKey struct{}

// exchangeContext lets hooks of the forwarder find their exchange.
type exchangeContext struct {
	context.Context
	x *exchange
}

// Value returns the exchange, or what the context itself has.
func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	return c.Context.Value(key)
}

func exchangeOf(r *http.Request) *exchange {
	return r.Context().Value(exchangeKey{}).(*exchange)
}

func (p *Proxy) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{p: p, w: w, in: r, conn: connOf(r), start: time.Now()}
	x.tried = x.triedBuf[:0]
	x.peer, x.trusted = p.trust.peer(r.RemoteAddr)
	x.id = requestID(r.Header.Get(headerID), x.trusted)
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.out = r.WithContext(&exchangeContext{x.ctx, x})
	if r.ContentLength != 0 {
		x.watchUpload()
	}
	return x
}

// watchUpload puts the request's body under watch, and lets the answer begin before
// the body has ended, as apps may.
func (x *exchange) watchUpload() {
	l := &x.p.limits
	x.upload = &upload{ReadCloser: x.in.Body, conn: x.conn, in: x.in, window: l.UploadWindow, least: l.UploadBytes}
	x.out.Body = x.upload
	if fd, ok := x.w.(interface{ EnableFullDuplex() error }); ok {
		_ = fd.EnableFullDuplex() // HTTP/2 has no need of it
	}
}

// end takes the exchange off the proxy's hands: nothing of it is read or sent
// afterwards.
func (x *exchange) end() {
	if x.upload != nil && !x.upgraded {
		x.upload.end()
	}
	if x.silence != nil {
		x.silence.Stop()
	}
	x.cancel(nil)
}

// try remembers that b is tried now.
func (x *exchange) try(b *backend) {
	if x.backend != nil {
		x.retries++
	}
	x.backend, x.failure, x.reused, x.connected = b, nil, false, time.Time{}
}

// watchSilence ends the exchange when nothing is sent for as long as its site allows:
// of an answer, or on an upgraded connection in either direction.
func (x *exchange) watchSilence() {
	if most := x.site.edge.Idle.Std(); most > 0 {
		x.silence = time.AfterFunc(most, func() { x.cancel(errSilent) })
	}
}

// stir tells that something was sent.
func (x *exchange) stir() {
	if x.silence != nil {
		x.silence.Reset(x.site.edge.Idle.Std())
	}
}

// open reports whether the request can still be sent to somebody: nothing of it was
// read, and nothing was answered.
func (x *exchange) open() bool {
	return !x.begun() && (x.upload == nil || x.upload.untouched())
}

// begun reports whether an answer is on its way to the client.
func (x *exchange) begun() bool { return x.status != 0 }

// Header returns the header of the answer.
func (x *exchange) Header() http.Header { return x.w.Header() }

// WriteHeader sends a status. Interim ones are passed on to those who know them.
func (x *exchange) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		if x.in.ProtoAtLeast(1, 1) {
			x.w.WriteHeader(status)
		}
		return
	}
	x.status = status
	h := x.w.Header()
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http would guess one
	}
	if x.mustClose() || (status != http.StatusSwitchingProtocols && x.p.conns.leaving.Load()) {
		h["Connection"] = []string{"close"}
	}
	x.w.WriteHeader(status)
}

// mustClose reports whether the connection ends with this answer: when the rest of
// the body is not wanted, and after a chunked body, for it may have come with a
// Content-Length too, which net/http has taken out (RFC 9112 §6.1).
func (x *exchange) mustClose() bool {
	return x.upload != nil && (!x.upload.eof.Load() || slices.Contains(x.in.TransferEncoding, "chunked"))
}

// Write sends a piece of the answer.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := x.w.Write(p)
	x.sent.Add(int64(n))
	x.note(err)
	x.stir()
	return n, err
}

// FlushError sends what is buffered.
func (x *exchange) FlushError() error {
	err := http.NewResponseController(x.w).Flush()
	x.note(err)
	return err
}

func (x *exchange) note(err error) {
	if x.broken == nil {
		x.broken = err
	}
}

// Unwrap lets an http.ResponseController find what is not offered here.
func (x *exchange) Unwrap() http.ResponseWriter { return x.w }

// Hijack hands out the client's connection for a protocol that it is switched to.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	x.status, x.upgraded = http.StatusSwitchingProtocols, true
	x.conn.move(x.p.conns.stream())
	x.answered = time.Now()
	return &tunnel{Conn: conn, x: x, early: rw.Reader}, rw, nil
}

// abort takes the client's connection away.
func (x *exchange) abort() { x.conn.abort() }

// tunnel is the client's end of an upgraded connection.
type tunnel struct {
	net.Conn
	x     *exchange
	early *bufio.Reader // what the client sent before it saw the 101
}

// farewell is how long the client of an upgraded connection may still send when the
// app has closed its end.
const farewell = 10 * time.Second

// Read reads what the client sends.
func (t *tunnel) Read(p []byte) (int, error) {
	var n int
	var err error
	if t.early != nil && t.early.Buffered() > 0 {
		n, err = t.early.Read(p[:min(len(p), t.early.Buffered())])
	} else {
		t.early = nil
		n, err = t.Conn.Read(p)
	}
	t.x.received.Add(int64(n))
	t.x.stir()
	return n, err
}

// Write sends to the client.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	t.x.sent.Add(int64(n))
	t.x.stir()
	return n, err
}

// CloseWrite tells the client that the app has nothing more to say.
func (t *tunnel) CloseWrite() error {
	_ = t.SetReadDeadline(time.Now().Add(farewell)) // a closed connection is as good
	if w, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
