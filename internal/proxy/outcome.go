package proxy

import (
	"context"
	"errors"
	"strings"
	"time"
)

// record sums up an exchange for the access log.
func (x *exchange) record() record {
	path, _, _ := strings.Cut(x.in.RequestURI, "?")
	r := record{
		Time: x.start, ID: x.id, Host: x.host, Method: x.in.Method, Path: path,
		In: x.received.Load(), Out: x.sent.Load(), Total: time.Since(x.start), Held: x.held,
		Remote: x.in.RemoteAddr, Agent: x.in.UserAgent(), Retries: x.retries, Upgraded: x.upgraded,
		Client: x.client,
	}
	if x.site != nil {
		r.App, r.Release = x.site.route.App, x.site.route.Release
	}
	if x.backend != nil {
		r.Instance = x.backend.id
	}
	if !x.connected.IsZero() {
		r.Connect = x.connected.Sub(x.start)
	}
	if !x.answered.IsZero() {
		r.Upstream = x.answered.Sub(x.start)
	}
	if x.upload != nil {
		r.In += x.upload.bytes.Load()
	}
	r.Status, r.Why, r.Error = x.outcome()
	return r
}

// outcome returns the status to log, and what went wrong. A client that did not
// wait for the end is 499, whatever it was sent.
func (x *exchange) outcome() (status int, why reason, words string) {
	if x.finished && x.failure != nil {
		return x.status, x.why, x.failure.Error()
	}
	switch cause := context.Cause(x.ctx); {
	case errors.Is(cause, errCut), errors.Is(cause, errShutdown), errors.Is(cause, errSilent):
		return x.status, interrupted, cause.Error()
	case x.finished:
		return x.status, 0, ""
	case isTimeout(x.broken):
		return statusClientGone, clientGone, "the client did not read the answer"
	case x.in.Context().Err() != nil, x.broken != nil:
		return statusClientGone, clientGone, "the client went away"
	}
	return x.status, crashed, "the app broke off its answer"
}
