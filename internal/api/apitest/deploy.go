package apitest

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// Deploy makes a release of an app and puts it live: one web instance, which
// prints that it listens. It panics where there is no such app.
func (w *World) Deploy(name octo.Name, commit, author string) octo.Release {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.release(name, octo.Release{Commit: commit, Branch: "main", Author: author, Description: fmt.Sprintf("Deploy %.7s", commit)})
}

// Fail makes a release of an app that could not become healthy.
func (w *World) Fail(name octo.Name, why octo.Failure) octo.Release {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	app.Last++
	r := octo.Release{
		App: name, Number: app.Last, Commit: "badbadbadbad", Author: app.Owner, Description: "Deploy badbadb",
		Created: w.Now(), Settled: w.Now(), Outcome: octo.Failed, Failure: &why,
		Processes: []octo.Process{octo.NewProcess(octo.Web, octo.DefaultPort)},
	}
	w.releases[name] = append(w.releases[name], r)
	w.happen(octo.Event{Kind: octo.EventReleaseFailed, App: name, Release: r.Number, Message: why.Message})
	return r
}

// release gives r a number and puts it live; w is locked.
func (w *World) release(name octo.Name, r octo.Release) octo.Release {
	app := w.apps[name]
	app.Last++
	app.Release, app.Live = app.Last, app.Last
	r.App, r.Number = name, app.Last
	r.Image = fmt.Sprintf("sha256:%064d", r.Number)
	r.Created, r.Settled, r.Outcome, r.Config = w.Now(), w.Now(), octo.Live, app.Config
	r.Declared, r.Settings = declared(), app.Settings
	r.Processes = r.Settings.Over(r.Declared)
	w.releases[name] = append(w.releases[name], r)
	id := octo.NewInstanceID(name, octo.Web, r.Number, 1)
	w.instances[name] = nil
	if web, _ := r.Process(octo.Web); web.Count == 0 {
		w.happen(octo.Event{Kind: octo.EventReleaseLive, App: name, Release: r.Number, User: r.Author, Message: r.Version() + " is live"})
		return r
	}
	w.instances[name] = []octo.Instance{{
		ID: id, App: name, Release: r.Number, Process: octo.Web, Node: "box",
		Phase: octo.PhaseHealthy, Since: w.Now(), Started: w.Now(), Memory: 25 << 19,
	}}
	w.lines[name] = append(w.lines[name], octo.LogLine{Time: w.Now(), App: name, Source: octo.LogApp, Release: r.Number, Process: octo.Web, Instance: id, Text: "listening on :5000"})
	w.happen(octo.Event{Kind: octo.EventReleaseLive, App: name, Release: r.Number, User: r.Author, Message: r.Version() + " is live"})
	return r
}

// Releases implements api.Releases.
func (w *World) Releases(_ context.Context, app octo.Name) ([]octo.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(w.releases[app])
	slices.Reverse(out)
	return out, nil
}

// Release implements api.Releases.
func (w *World) Release(_ context.Context, app octo.Name, n int) (octo.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > len(w.releases[app]) {
		return octo.Release{}, noSuchRelease(app, n)
	}
	return w.releases[app][n-1], nil
}

func noSuchRelease(app octo.Name, n int) error {
	return octo.Errorf(octo.ErrNotFound, "%s has no release %s", app, octo.Version(n)).WithHint("list them with: octo releases")
}

// Rollback implements api.Releases.
func (w *World) Rollback(_ context.Context, who octo.Identity, name octo.Name, to int, out io.Writer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to == 0 {
		to = w.apps[name].Live - 1
	}
	if to < 1 || to > len(w.releases[name]) {
		return noSuchRelease(name, to)
	}
	old := w.releases[name][to-1]
	if old.Outcome != octo.Live {
		return octo.Errorf(octo.ErrConflict, "%s was never live", old.Version()).WithHint("choose a live one from: octo releases")
	}
	if _, err := fmt.Fprintf(out, "rolling back to %s\n", old.Version()); err != nil {
		return err
	}
	w.release(name, octo.Release{Commit: old.Commit, Author: who.User, Description: "Rollback to " + old.Version()})
	_, err := fmt.Fprintln(out, "web.1 is healthy")
	return err
}
