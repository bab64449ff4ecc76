// Package edge decides what stands between visitors and apps: which app has which host
// name, where names lead that only redirect, whether a site is closed for maintenance,
// and what the proxy grants an app. All of it is in the store, holds at once, and is no
// part of a release.
//
// A name has one owner, for there is one document for each; it is created, never
// overwritten. Names with "*." also keep all names below them from other people. That
// takes looking at several documents, so claims are made one after the other.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Router knows what visitors of an app meet.
type Router interface {
	WaitRoute(ctx context.Context, app octo.Name, ok func(octo.Route, bool) bool) error
}

// Config is what a Registry needs.
type Config struct {
	Store  store.Store
	Domain string // of this server: apps answer on <app>.<Domain>
	Router Router
	// Otherwise is what holds for an app that sets nothing, Most what it may set.
	Otherwise, Most octo.Edge
	// Lookup asks the DNS for the addresses of a host.
	Lookup func(ctx context.Context, host string) ([]string, error)
	Record func(octo.Event)
	Log    *slog.Logger
}

// Registry keeps names, and what the proxy is told of apps.
type Registry struct {
	Config
	// claims is held by whoever gives names or takes them: what is decided by looking at
	// several documents, and at the app, stays true until it is written.
	claims sync.Mutex
}

// New returns a Registry.
func New(cfg Config) *Registry { return &Registry{Config: cfg} }

func (r *Registry) docs() store.Docs[octo.Domain] {
	return store.Docs[octo.Domain]{Store: r.Store, Prefix: store.DomainsPrefix}
}

func (r *Registry) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: r.Store, Prefix: store.AppsPrefix}
}

// app returns an app that is to stay.
func (r *Registry) app(ctx context.Context, name octo.Name) (octo.App, error) {
	doc, err := r.apps().Get(ctx, string(name))
	if errors.Is(err, octo.ErrNotFound) || err == nil && doc.Value.Destroying {
		return octo.App{}, octo.NoSuchApp(name)
	}
	if err != nil {
		return octo.App{}, fmt.Errorf("read app %s: %w", name, err)
	}
	return doc.Value, nil
}

// liveWait is how long a command waits until visitors meet what it has changed, which
// is a matter of milliseconds. What is written holds in any case.
const liveWait = 2 * time.Second

// live waits until visitors of an app meet what was written.
func (r *Registry) live(ctx context.Context, app octo.Name, ok func(octo.Route) bool) {
	ctx, cancel := context.WithTimeout(ctx, liveWait)
	defer cancel()
	err := r.Router.WaitRoute(ctx, app, func(route octo.Route, routed bool) bool { return routed && ok(route) })
	if err != nil && !errors.Is(err, context.Canceled) {
		r.Log.Warn("the proxy does not know yet what was changed", "app", app, "err", err)
	}
}

func now() time.Time { return time.Now().UTC() }
