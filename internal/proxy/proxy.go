package proxy

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Config is what a Proxy needs. Listener and Resolve are required.
type Config struct {
	// Listener is where clients connect. Run closes it.
	Listener net.Listener

	// Resolve returns host:port of an instance of this node whose identity has been
	// checked. It is asked for every new connection, before and after dialling; false
	// means that the instance is not here, or that it is in doubt whose the address
	// is, and counts as a failed dial. Connections that exist stay in use, for they
	// lead to whom they were made to.
	Resolve func(octo.InstanceID) (addr string, ok bool)

	// Trusted are the peers, such as a load balancer in front, whose X-Forwarded-For,
	// -Host, -Proto and X-Request-Id are kept (the peer's address is appended to the
	// first). Anybody else's are replaced. By default nobody is trusted.
	Trusted []netip.Prefix

	// Page returns the page of an app's own that browsers get while it is closed, by the
	// name that its route has for it; nil means that there are none.
	Page func(ctx context.Context, app octo.Name, id string) (html string, ok bool)

	AccessLog io.Writer            // takes whole lines of JSON, several at a time; may be nil
	Lines     func([]octo.LogLine) // takes what the logs of apps say about requests; may be nil
	Log       *slog.Logger         // nil means slog.Default
	Limits    Limits
}

// Proxy passes HTTP requests on to instances.
type Proxy struct {
	listener net.Listener
	trust    trust
	limits   Limits
	log      *slog.Logger
	page     *template.Template
	own      func(ctx context.Context, app octo.Name, id string) (html string, ok bool)
	access   *accessLog
	forward  *forwarder
	fleet    *fleet
	routes   *routes

	waiting atomic.Int64 // requests that are held
	active  crowd        // requests that are being served
	conns   hall         // client connections
}

// New returns a proxy that knows no route yet.
func New(cfg Config) (*Proxy, error) {
	if cfg.Listener == nil || cfg.Resolve == nil {
		return nil, errors.New("proxy needs a listener and a way to resolve instances")
	}
	t, err := parsePage()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		listener: cfg.Listener, trust: cfg.Trusted, limits: cfg.Limits.withDefaults(), log: cfg.Log, page: t, own: cfg.Page,
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	p.access = newAccessLog(&cfg, p.log, p.limits.AccessBuffer)
	p.forward = newForwarder(p.limits, cfg.Resolve)
	p.fleet = newFleet(p.forward.transport, p.limits.AnswerTimeout)
	p.routes = newRoutes(p.fleet, &p.limits, p.log)
	return p, nil
}

// Addr returns where the proxy listens.
func (p *Proxy) Addr() net.Addr { return p.listener.Addr() }

// Run serves until ctx ends. Then it lets every connection end with its next answer,
// stops accepting, gives the requests in flight (upgraded connections and streams
// included) time to end, as Limits.LastCall and Shutdown say, cuts what remains, and
// returns nil. It returns an error when the listener fails.
func (p *Proxy) Run(ctx context.Context) error {
	logging, stopLog := context.WithCancel(context.Background())
	var logger sync.WaitGroup
	logger.Go(func() { p.access.run(logging) })
	defer logger.Wait()
	defer stopLog()
	defer p.fleet.closeIdle()

	base, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	srv := p.server(base)
	failed := make(chan error, 1)
	var server sync.WaitGroup
	defer server.Wait()
	door := newListener(p.listener, p.limits, &p.conns)
	server.Go(func() { failed <- srv.Serve(door) })
	select {
	case err := <-failed:
		cut(errShutdown)
		p.conns.hurry.Store(true)
		return errors.Join(fmt.Errorf("serve HTTP: %w", err), srv.Close(), p.active.gone(context.Background()))
	case <-ctx.Done():
		p.lastCall()
		err := ignoreClosed(door.Close())
		<-failed // every connection that was accepted is known to srv now
		return errors.Join(err, p.shutdown(srv, cut))
	}
}

// server returns the server side: net/http's, whose parser refuses what is
// ambiguous.
func (p *Proxy) server(base context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      http.HandlerFunc(p.handle),
		ReadHeaderTimeout:            p.limits.HeaderTimeout,
		IdleTimeout:                  p.limits.IdleTimeout,
		MaxHeaderBytes:               p.limits.HeaderBytes,
		ErrorLog:                     slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  withConn,
		ConnState:                    p.conns.watch,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the app's to answer
		Protocols:                    protocols,
	}
}

// handle serves one request.
func (p *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	p.active.enter()
	defer p.active.leave()
	x := p.newExchange(w, r)
	x.conn.move(&p.conns.busy)
	defer p.conclude(x)
	p.serve(x)
	x.finished = true
}

// conclude ends an exchange and writes down how it went. Of an answer that broke off
// the client gets what there was; net/http would throw away what is buffered.
func (p *Proxy) conclude(x *exchange) {
	if !x.finished && x.begun() && !x.upgraded {
		_ = x.FlushError() // x has taken note of it
	}
	rec := x.record() // before the end of its context looks like a client that left
	x.end()
	p.access.add(&rec, len(x.in.RequestURI)+len(rec.Agent))
}

// SetShard replaces all routes of one shard. The next request sees them; the cost
// does not depend on how many sites there are in other shards. When two apps claim
// a host, the one that has it keeps it for as long as it claims it, and the other is
// logged; among newcomers the shard's order decides.
func (p *Proxy) SetShard(name string, routes []octo.Route) {
	p.routes.set(map[string][]octo.Route{name: routes}, false)
}

// SetTable replaces all shards at once: the table for a start. Until SetTable or
// SetShard is called for the first time, requests wait, and are answered 503.
func (p *Proxy) SetTable(shards map[string][]octo.Route) { p.routes.set(shards, true) }

// WaitRoute blocks until ok says yes to the route of app as the table has it, and
// whether it has one. The error is that of ctx.
func (p *Proxy) WaitRoute(ctx context.Context, app octo.Name, ok func(octo.Route, bool) bool) error {
	return p.routes.wait(ctx, app, ok)
}

// Drain sends no new request to an instance from now on, and returns when none is in
// flight; upgraded connections and streams count. When ctx ends first, it cuts what
// remains and returns how many that were. An instance stays drained until Forget.
// The error, ErrTimeout, means that some could not even be cut.
func (p *Proxy) Drain(ctx context.Context, id octo.InstanceID) (cut int, err error) {
	return p.fleet.get(id).empty(ctx)
}

// Forget drops what is known of an instance that is gone: what is still on the way to
// it is cut, and its idle connections are closed. It is to be called for every instance that was ever routed; another one of the
// same name starts afresh.
func (p *Proxy) Forget(id octo.InstanceID) { p.fleet.forget(id) }

// InFlight returns how many requests are on the way to an instance.
func (p *Proxy) InFlight(id octo.InstanceID) int { return p.Stats(id).InFlight }

// Stats are what is known of an instance.
type Stats struct {
	InFlight int   // requests on the way to it
	Requests int64 // sent to it so far
	Failures int64 // failed dials so far
	Draining bool  // takes no new requests
	Down     bool  // the last dial failed, and it is avoided
}

// Stats returns what is known of an instance; of an unknown one, nothing.
func (p *Proxy) Stats(id octo.InstanceID) Stats {
	b := p.fleet.find(id)
	if b == nil {
		return Stats{}
	}
	return Stats{
		InFlight: int(b.inFlight.Load()), Requests: b.requests.Load(), Failures: b.failures.Load(),
		Draining: b.draining.Load(), Down: b.downUntil.Load() > time.Now().UnixNano(),
	}
}

// Totals are figures of the whole proxy.
type Totals struct {
	Sites   int   // apps in the table
	Hosts   int   // hosts in the table
	Active  int   // requests being served
	Held    int   // of them, those that wait for an instance
	Dropped int64 // records of the access log that were dropped so far
}

// Totals returns figures of the whole proxy.
func (p *Proxy) Totals() Totals {
	t := p.routes.table.Load()
	return Totals{
		Sites: t.apps.size, Hosts: t.hosts.size,
		Active: p.active.size(), Held: int(p.waiting.Load()), Dropped: p.access.drops(),
	}
}
