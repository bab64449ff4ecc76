// Package platform holds the use cases of octohost: what people can ask for, each
// validated, and written to or read from the store. Whether somebody may ask is
// decided by Authorize, which the doors call first.
package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Deployer makes releases.
type Deployer interface {
	Rollback(ctx context.Context, who octo.Identity, app octo.Name, to int, out io.Writer) error
	Change(ctx context.Context, c octo.Change, out io.Writer) error
}

// Config is what a Platform needs.
type Config struct {
	Store    store.Store
	Archive  Archive
	Deployer Deployer
	Trail    Trail
	Configs  Configuration
	// Commits returns the commits of an app that lead to one and not to another, newest
	// first, and whether there are more.
	Commits func(ctx context.Context, app octo.Name, from, to string) ([]octo.Commit, bool, error)
	// Hosts returns the names that an app answers to besides that in its URL, by app; of
	// all apps when app is empty.
	Hosts    func(ctx context.Context, app octo.Name) (map[octo.Name][]string, error)
	URL      func(octo.Name) string // where an app is reached
	GitURL   func(octo.Name) string // where it is pushed to
	ParseKey func(authorized string) (octo.Key, error)
	Record   func(octo.Event)
	Log      *slog.Logger
}

// Platform answers what people ask.
type Platform struct{ Config }

// New returns a Platform.
func New(cfg Config) *Platform { return &Platform{cfg} }

func (p *Platform) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: p.Store, Prefix: store.AppsPrefix}
}

func (p *Platform) have() store.Docs[[]octo.Instance] {
	return store.Docs[[]octo.Instance]{Store: p.Store, Prefix: store.HavePrefix}
}

// Authorize decides whether who may do what to app ("" where the action has none).
// It is asked before every request, push and command.
func (p *Platform) Authorize(ctx context.Context, who octo.Identity, what octo.Action, name octo.Name) error {
	if err := p.admits(ctx, who); err != nil {
		return err
	}
	if name == "" {
		return octo.Allowed(who, what, nil)
	}
	app, err := p.app(ctx, name)
	if err != nil {
		return err
	}
	return octo.Allowed(who, what, &app)
}

func (p *Platform) app(ctx context.Context, name octo.Name) (octo.App, error) {
	doc, err := p.apps().Get(ctx, string(name))
	if errors.Is(err, octo.ErrNotFound) {
		return octo.App{}, octo.NoSuchApp(name)
	}
	if err != nil {
		return octo.App{}, fmt.Errorf("read app %s: %w", name, err)
	}
	return doc.Value, nil
}

// Branch returns which branch deploys an app; empty means main or master.
func (p *Platform) Branch(ctx context.Context, name octo.Name) (string, error) {
	app, err := p.app(ctx, name)
	return app.Branch, err
}

// sees returns a function that says which apps who may see.
func (p *Platform) sees(ctx context.Context, who octo.Identity) (func(octo.Name) bool, error) {
	return p.may(ctx, who, octo.ActionAppRead)
}

// may returns a function that says to which apps who may do something.
func (p *Platform) may(ctx context.Context, who octo.Identity, what octo.Action) (func(octo.Name) bool, error) {
	if octo.Allowed(who, octo.ActionAdmin, nil) == nil {
		return func(octo.Name) bool { return true }, nil
	}
	docs, err := p.apps().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	allowed := map[octo.Name]bool{}
	for _, d := range docs {
		allowed[d.Value.Name] = octo.Allowed(who, what, &d.Value) == nil
	}
	return func(app octo.Name) bool { return allowed[app] }, nil
}

func now() time.Time { return time.Now().UTC() }
