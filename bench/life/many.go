package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/octohost/octohost/bench/stage"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// listed is how many apps there are when they are listed.
const listed = 1000

// idle is how long the daemon is left alone before its memory is looked at.
const idle = 15 * time.Second

// many makes apps with releases, of which some run, and returns the daemon's memory
// once all is quiet. They are written into the store: to push them all would take as
// long as a coffee, and would measure builds.
func (b *bench) many(ctx context.Context) (int64, error) {
	app, err := b.client.App(ctx, "hello")
	if err != nil {
		return 0, err
	}
	release, err := b.client.Release(ctx, "hello", app.Release)
	if err != nil {
		return 0, err
	}
	b.host.End()
	if err := b.seed(ctx, release); err != nil {
		return 0, err
	}
	if err := b.host.Launch(ctx); err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "%d apps, of which %d start\n", b.apps, b.running)
	if err := b.quiet(ctx, b.running); err != nil {
		return 0, err
	}
	if err := b.visit(); err != nil {
		return 0, err
	}
	select {
	case <-time.After(idle):
	case <-ctx.Done():
	}
	return b.host.Memory(), ctx.Err()
}

// seed writes apps and releases into the store of an octohost that does not run. Hello
// is one of those that do.
func (b *bench) seed(ctx context.Context, like octo.Release) (err error) {
	s, err := bolt.Open(b.host.Path("data/octo.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	apps, releases := store.Docs[octo.App]{Store: s, Prefix: store.AppsPrefix}, store.Docs[octo.Release]{Store: s, Prefix: store.ReleasesPrefix}
	for i := 1; i < b.apps; i++ {
		r := like
		r.App, r.Number, r.Created, r.Settings = name(i), 1, time.Now().UTC(), octo.Settings{}
		web := octo.NewProcess(octo.Web, like.Processes[0].Port)
		if i >= b.running {
			web.Count = 0
		}
		r.Declared, r.Processes = []octo.Process{web}, []octo.Process{web}
		if _, err := releases.Create(ctx, store.ReleaseName(r.App, 1), r); err != nil {
			return err
		}
		if _, err := apps.Create(ctx, string(r.App), octo.App{Name: r.App, Owner: "bench", Created: r.Created, Release: 1, Live: 1, Last: 1}); err != nil {
			return err
		}
	}
	return nil
}

func name(i int) octo.Name { return octo.Name(fmt.Sprintf("many-%03d", i)) }

// visit asks every app that runs for a page.
func (b *bench) visit() error {
	for i := 1; i < b.running; i++ {
		req, err := http.NewRequest(http.MethodGet, "http://"+b.host.HTTP+"/", nil)
		if err != nil {
			return err
		}
		req.Host = string(name(i)) + ".localhost"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if err := stage.DrainBody(resp); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s: %w", req.Host, resp.Status, err)
		}
	}
	return nil
}

// list measures octo apps with 1,000 of them, as a person types it.
func (b *bench) list(ctx context.Context) (time.Duration, error) {
	for i := b.apps; i < listed; i++ {
		if _, err := b.client.CreateApp(ctx, name(i)); err != nil {
			return 0, err
		}
	}
	const what = "octo apps, with 1,000 of them"
	for round := range b.rounds + 1 {
		began := time.Now()
		if out, err := b.host.Command("apps").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
		b.times.Note(round, what, time.Since(began))
	}
	return b.times.Median(what), nil
}
