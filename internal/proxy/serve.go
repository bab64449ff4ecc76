package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// serve finds the app that x asks for and sends x there, to another instance when
// one cannot be dialled; in the end there is an answer, if only a page that says
// why there is none.
func (p *Proxy) serve(x *exchange) {
	var buf [maxHost + 3]byte
	host, ok := appendHost(buf[:0], x.in.Host)
	switch {
	case x.in.Host == "": // allowed in HTTP/1.0
	case !ok:
		p.answer(x, badHost)
		return
	default:
		x.host = string(host)
	}
	if x.in.Method == http.MethodConnect {
		p.answer(x, noTunnel)
		return
	}
	w := wait{until: x.start.Add(p.limits.Hold)}
	for {
		t := p.routes.table.Load()
		why, done := p.attempt(x, host)
		if done {
			return
		}
		if !p.hold(x, t, &w) {
			p.giveUp(x, why)
			return
		}
	}
}

// attempt tries every instance of the host's site once. It returns true when x has
// had its answer, else why it could not be sent to anybody.
func (p *Proxy) attempt(x *exchange, host []byte) (reason, bool) {
	x.tried = x.tried[:0]
	replaced := false // a kept connection that proved dead may be replaced once
	for {
		t := p.routes.table.Load()
		if x.site = t.site(host); x.site == nil {
			return t.unknown(), false
		}
		if p.meet(x) || p.tooLarge(x) {
			return 0, true
		}
		b := x.site.pick(x.tried, time.Now().UnixNano())
		if b == nil {
			return x.site.reason(), false
		}
		if !b.enter(x) { // it has begun to drain just now
			x.tried = append(x.tried, b)
			continue
		}
		err := p.visit(x, b)
		switch {
		case err == nil:
			return 0, true
		case x.ctx.Err() == nil && x.open() && errors.As(err, new(*dialError)):
			x.tried = append(x.tried, b)
		case x.ctx.Err() == nil && x.open() && !replaced && x.stale(err):
			replaced = true
		default:
			p.fail(x, err)
			return 0, true
		}
	}
}

// giveUp answers a request that could not be sent to anybody.
func (p *Proxy) giveUp(x *exchange, why reason) {
	if x.ctx.Err() != nil {
		p.fail(x, context.Cause(x.ctx))
		return
	}
	p.answer(x, why)
}

// visit sends x to b, which has counted it in, and counts it out whatever happens.
func (p *Proxy) visit(x *exchange, b *backend) error {
	defer b.leave(x)
	return p.forward.forward(x, b)
}

// fail answers an attempt that came to nothing, after which no other is made.
func (p *Proxy) fail(x *exchange, err error) {
	if x.begun() { // a connection was switched, and then broke
		return
	}
	why := x.classify(err)
	if why == clientGone {
		panic(http.ErrAbortHandler)
	}
	p.answer(x, why)
}

// classify says why an attempt had no answer.
func (x *exchange) classify(err error) reason {
	var bad error
	if x.upload != nil {
		bad = x.upload.failure()
	}
	switch cause := context.Cause(x.ctx); {
	case errors.Is(bad, errSlow):
		return slowUpload
	case errors.Is(bad, errLarge):
		return largeUpload
	case errors.Is(cause, errCut), errors.Is(cause, errShutdown):
		return interrupted
	case x.in.Context().Err() != nil:
		return clientGone
	case bad != nil:
		return badBody
	case isTimeout(err):
		return tooLate
	case errors.As(err, new(*dialError)):
		return noInstance
	}
	return crashed
}

// unknown says why a host has no site.
func (t *table) unknown() reason {
	if !t.loaded {
		return starting
	}
	return unknownHost
}

// reason says why a site has nobody to send a request to.
func (s *site) reason() reason {
	switch {
	case len(s.backends) > 0:
		return noInstance
	case s.route.Crashed:
		return crashed
	case s.route.Stopped:
		return stopped
	}
	return noInstance
}

// wait is the patience with a request for which there is no instance.
type wait struct {
	until time.Time
	pause time.Duration
}

// The pauses between two attempts to dial the instances that there are.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// hold waits for better times: another table, or a moment in which an instance may
// have come back. It reports false when there is no hope, or too many wait already.
func (p *Proxy) hold(x *exchange, t *table, w *wait) bool {
	left := time.Until(w.until)
	if left <= 0 || !p.hopeful(x.site, t) || !x.open() {
		return false
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > int64(p.limits.Held) {
		return false
	}
	w.pause = max(firstPause, min(2*w.pause, longestPause))
	pause := time.NewTimer(min(left, w.pause))
	defer pause.Stop()
	start := time.Now()
	select {
	case <-t.next:
	case <-pause.C:
	case <-x.ctx.Done():
	}
	x.held += time.Since(start)
	return x.ctx.Err() == nil
}

// hopeful reports whether a site that has nobody can be expected back at once: it
// had somebody a moment ago. Before the first route is known, everything is
// expected.
func (p *Proxy) hopeful(s *site, t *table) bool {
	if s == nil {
		return !t.loaded
	}
	since := time.Now().Add(-p.limits.HoldAfter).UnixNano()
	if len(s.backends) == 0 {
		return !s.route.Crashed && !s.route.Stopped && s.lost > since
	}
	for _, b := range s.backends {
		if b.alive.Load() > since {
			return true
		}
	}
	return false
}
