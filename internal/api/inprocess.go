package api

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// InProcess returns a Client whose requests handler answers in this process,
// without a connection. Answers stream, and a request that is given up ends the
// handler's context.
func InProcess(handler http.Handler) *Client {
	return &Client{http: &http.Client{Transport: &inProcess{handler: handler}}}
}

// inProcess is an http.RoundTripper over a handler.
type inProcess struct{ handler http.Handler }

// RoundTrip runs the handler and returns as soon as it has sent its status. The
// handler has ended when the answer's body is closed.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	pr, pw := io.Pipe()
	w := &pipedAnswer{header: http.Header{}, pipe: pw, begun: make(chan struct{})}
	body := &pipedBody{PipeReader: pr, cancel: cancel, ended: make(chan struct{})}
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "in-process"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w.request = in.Body
	go func() { // ends with the handler; body.Close waits for it
		defer close(body.ended)
		t.run(w, in)
	}()
	select {
	case <-w.begun:
	case <-ctx.Done():
		_ = body.Close() // it never fails
		return nil, req.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Header: w.sent, Body: body,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: req,
	}, nil
}

// run is the handler's life. A panic breaks the answer off, as it would break a
// connection.
func (t *inProcess) run(w *pipedAnswer, in *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			w.WriteHeader(http.StatusInternalServerError)
			_ = w.pipe.CloseWithError(io.ErrUnexpectedEOF) // it never fails
		}
	}()
	defer in.Body.Close() //nolint:errcheck // it was only read
	t.handler.ServeHTTP(w, in)
	w.WriteHeader(http.StatusOK)
	_ = w.pipe.Close() // it never fails
}

// pipedAnswer is the handler's end of an answer.
type pipedAnswer struct {
	header  http.Header
	request io.Closer // the body of the request
	pipe    *io.PipeWriter
	once    sync.Once
	begun   chan struct{}

	status int         // set before begun is closed
	sent   http.Header // the same
}

// Header returns the headers to send.
func (w *pipedAnswer) Header() http.Header { return w.header }

// WriteHeader sends the status, the first time it is called.
func (w *pipedAnswer) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

// Write hands p over to the reader.
func (w *pipedAnswer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush does nothing: a pipe holds nothing back.
func (w *pipedAnswer) Flush() {}

// EnableFullDuplex does nothing: a request is read while it is answered.
func (w *pipedAnswer) EnableFullDuplex() error { return nil }

// SetReadDeadline ends the request's body at once: nobody sends more of it who is
// given a deadline.
func (w *pipedAnswer) SetReadDeadline(time.Time) error { return w.request.Close() }

// pipedBody is the client's end of an answer.
type pipedBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	ended  chan struct{}
}

// Close ends the handler and waits for it.
func (b *pipedBody) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.ended
	return err
}
