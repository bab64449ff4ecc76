package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// errSlow is the end of a request body that made too little progress.
var errSlow = errors.New("the client sent the request body too slowly")

// errLarge is the end of a request body that is larger than its site takes.
var errLarge = errors.New("the request body is too large")

// tooLarge sets the limit of the site to the body of x, and answers x if it is known
// already that it is over it.
func (p *Proxy) tooLarge(x *exchange) bool {
	most := int64(x.site.edge.Body)
	if x.upload == nil || most == 0 {
		return false
	}
	x.upload.most.Store(most)
	if x.in.ContentLength <= most {
		return false
	}
	p.answer(x, largeUpload)
	return true
}

// upload is the body of a request on its way through. It measures only the time in
// which the client is waited for, so that an app that reads slowly is not held
// against the client.
type upload struct {
	io.ReadCloser
	conn    *clientConn
	in      *http.Request
	trailer http.Header // of the outgoing request: announced names, values to come
	window  time.Duration
	least   int64
	most    atomic.Int64 // bytes in all; 0 means no limit

	bytes atomic.Int64
	eof   atomic.Bool           // it was read to its end
	bad   atomic.Pointer[error] // what else ended it

	mu     sync.Mutex    // held while reading
	ended  bool          // nothing more is read
	waited time.Duration // in the present window
	got    int64         // in the present window
}

// Read reads what has arrived. Two rules end it with errSlow: silence for a whole
// window, and less than the least progress in a window of waiting.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.failure(); u.ended || err != nil {
		return 0, errors.Join(err, io.ErrClosedPipe)
	}
	start := time.Now()
	if err := u.conn.SetReadDeadline(start.Add(u.window)); err != nil {
		return 0, u.fail(err)
	}
	n, err := u.ReadCloser.Read(p)
	u.bytes.Add(int64(n))
	u.got += int64(n)
	u.waited += time.Since(start)
	if most := u.most.Load(); most > 0 && u.bytes.Load() > most {
		return 0, u.fail(errLarge)
	}
	switch {
	case err == io.EOF:
		u.eof.Store(true)
		u.passTrailer()
		_ = u.conn.SetReadDeadline(time.Time{}) // a closed connection is as good
	case isTimeout(err), err == nil && !u.progress():
		return n, u.fail(errSlow)
	case err != nil:
		return n, u.fail(err)
	}
	return n, err
}

// fail remembers the error that ended the body.
func (u *upload) fail(err error) error {
	u.bad.Store(&err)
	return err
}

// failure returns the error that ended the body, if one did.
func (u *upload) failure() error {
	if err := u.bad.Load(); err != nil {
		return *err
	}
	return nil
}

// progress begins a new window when the present one is over, and reports whether
// enough arrived in it.
func (u *upload) progress() bool {
	if u.waited < u.window {
		return true
	}
	enough := u.got >= u.least
	u.waited, u.got = 0, 0
	return enough
}

// passTrailer hands over the values of the trailer fields that the client has
// announced (RFC 9110 §6.5); those that it has not are dropped, as are those that
// only the proxy may set.
func (u *upload) passTrailer() {
	for name := range u.trailer {
		if v, ok := u.in.Trailer[name]; ok {
			u.trailer[name] = v
		}
	}
	dropSpoofed(u.trailer, false)
}

// untouched reports whether nothing was read, so that the request can still be sent
// to somebody else.
func (u *upload) untouched() bool {
	return u.bytes.Load() == 0 && !u.eof.Load() && u.failure() == nil
}

// end makes sure that nobody reads any more. A body that was not read to its end
// takes its connection along.
func (u *upload) end() {
	if !u.eof.Load() {
		u.conn.spend() // wakes up a reader that waits for the client
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
