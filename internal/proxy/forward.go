package proxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// forwarder carries requests to instances and answers back. The rest of the proxy
// knows only forward and transport; this is httputil.ReverseProxy over one
// http.Transport per instance.
type forwarder struct {
	limits  Limits
	resolve func(octo.InstanceID) (string, bool)
	reverse httputil.ReverseProxy
}

func newForwarder(limits Limits, resolve func(octo.InstanceID) (string, bool)) *forwarder {
	f := &forwarder{limits: limits, resolve: resolve}
	f.reverse = httputil.ReverseProxy{
		Rewrite:        func(pr *httputil.ProxyRequest) { exchangeOf(pr.In).rewrite(pr) },
		Transport:      f,
		FlushInterval:  flushInterval,
		BufferPool:     new(bufferPool),
		ModifyResponse: func(res *http.Response) error { exchangeOf(res.Request).receive(res); return nil },
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, err error) { w.(*exchange).failure = err },
		ErrorLog:       log.New(io.Discard, "", 0), // the access log says it
	}
	return f
}

// flushInterval is how long a piece of an answer of known length may wait for the
// next one. Event streams and answers of unknown length do not wait at all.
const flushInterval = 10 * time.Millisecond

// forward sends x to b and what comes back to the client. An error means that there
// was no answer: then nothing was sent to the client, and x.open tells whether
// somebody else may be tried. Once the answer has begun, its breaking off ends
// forward by a panic of http.ErrAbortHandler.
func (f *forwarder) forward(x *exchange, b *backend) error {
	x.try(b)
	f.reverse.ServeHTTP(x, x.out)
	return x.failure
}

// RoundTrip sends a request over a connection to the exchange's backend.
func (f *forwarder) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r)
	// The trace is ReverseProxy's own of this very request; chaining another one to it
	// by httptrace.WithClientTrace would cost more than all the rest of this package.
	if t := httptrace.ContextClientTrace(r.Context()); t != nil {
		t.GotConn = func(info httptrace.GotConnInfo) { x.reused, x.connected = info.Reused, time.Now() }
	}
	return x.backend.transport.Load().RoundTrip(r)
}

// receive takes note of an app's answer, and gives it the request's id.
func (x *exchange) receive(res *http.Response) {
	x.answered = time.Now()
	x.backend.alive.Store(x.answered.UnixNano())
	res.Header[headerID] = []string{x.id}
	x.watchSilence()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		x.conn.move(x.p.conns.stream())
	}
}

// transport returns the way to one instance.
func (f *forwarder) transport(b *backend) *http.Transport {
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return f.dial(ctx, b) },
		DisableCompression:     true, // what the client accepts is between it and the app
		MaxIdleConnsPerHost:    f.limits.Pooled,
		IdleConnTimeout:        f.limits.PooledIdle,
		ResponseHeaderTimeout:  b.answer,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: f.limits.AnswerHeaderBytes,
	}
}

// dialError says that an instance could not be reached: nothing was sent to it.
type dialError struct{ err error }

// Error says what went wrong.
func (e *dialError) Error() string { return e.err.Error() }

// Unwrap returns what went wrong.
func (e *dialError) Unwrap() error { return e.err }

var errElsewhere = errors.New("the instance is not on this node, or it is not certain where")

// dial connects to an instance at its present address, which is asked for again
// afterwards: if the container went away in between, somebody else's may have
// answered.
func (f *forwarder) dial(ctx context.Context, b *backend) (net.Conn, error) {
	conn, err := f.connect(ctx, b.id)
	if err != nil {
		if ctx.Err() == nil {
			b.failures.Add(1)
			b.downUntil.Store(time.Now().Add(f.limits.Down).UnixNano())
		}
		return nil, &dialError{err}
	}
	b.downUntil.Store(0)
	return &steadyConn{Conn: conn, stall: f.limits.WriteStall}, nil
}

func (f *forwarder) connect(ctx context.Context, id octo.InstanceID) (net.Conn, error) {
	addr, ok := f.resolve(id)
	if !ok {
		return nil, errElsewhere
	}
	d := net.Dialer{Timeout: f.limits.DialTimeout}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if again, ok := f.resolve(id); !ok || again != addr {
		return nil, errors.Join(errElsewhere, conn.Close())
	}
	return conn, nil
}

// stale reports whether a request failed because the app closed a kept connection
// at the same moment, and can be sent again: it asks for the same however often it
// is asked (RFC 9110 §9.2.2), and it has no body. The Transport itself does so for
// the methods that change nothing.
func (x *exchange) stale(err error) bool {
	if !x.reused || x.upload != nil {
		return false
	}
	switch x.in.Method {
	case http.MethodPut, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	default:
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		err.Error() == "http: server closed idle connection" // net/http does not export it
}

// bufferPool lends the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

type buffer [32 << 10]byte

// Get lends a buffer.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b[:]
	}
	return new(buffer)[:]
}

// Put takes it back.
func (p *bufferPool) Put(b []byte) { p.pool.Put((*buffer)(b)) }
