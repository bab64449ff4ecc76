package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// routeWait bounds how long a release that is live may take to reach the table of
// the proxy, which is a matter of milliseconds.
const routeWait = 10 * time.Second

// follow prints the rollout of a release until it ends. Its error says why the
// release did not become live.
func (d *Deployer) follow(ctx context.Context, p *printer, r octo.Release) error {
	began := time.Now()
	d.tellKept(ctx, p, r)
	settled, told, err := d.watchRollout(ctx, p, r)
	if err != nil {
		return fmt.Errorf("follow %s: %w", r.Version(), err)
	}
	switch settled.Outcome {
	case octo.Live:
		if len(told) > 0 {
			p.detail("Started, checked and switched in %s", seconds(time.Since(began)))
		}
		d.heed(ctx, p, settled)
		return d.live(ctx, p, settled)
	case octo.Superseded:
		p.warn("%s was overtaken by a newer release before it was live.", r.Version())
		return octo.Errorf(octo.ErrConflict, "%s was overtaken by a newer release", r.Version())
	}
	return d.failed(ctx, p, settled)
}

// errSettled ends the watches of a rollout that has ended.
var errSettled = errors.New("settled")

// watchRollout prints what the instances of r do until its outcome is written.
func (d *Deployer) watchRollout(ctx context.Context, p *printer, r octo.Release) (octo.Release, sightings, error) {
	settled, told := r, sightings{}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		settled, err = d.awaitOutcome(ctx, r)
		return errors.Join(err, errSettled)
	})
	g.Go(func() error {
		have := store.Docs[[]octo.Instance]{Store: d.Store, Prefix: store.HavePrefix}
		for docs := range have.Watch(ctx) { // what interrupts the watch interrupts the other too, which says so
			for _, doc := range docs {
				told.tell(p, r, doc.Value)
			}
		}
		return nil
	})
	if err := g.Wait(); !errors.Is(err, errSettled) || settled.Outcome == octo.Pending {
		return settled, told, err
	}
	return settled, told, nil
}

// awaitOutcome waits until the rollout of r has ended. What says so is the app's
// document: the leader writes it last.
func (d *Deployer) awaitOutcome(ctx context.Context, r octo.Release) (octo.Release, error) {
	for docs, err := range d.apps().Watch(ctx) {
		if err != nil {
			continue // the watch goes on by itself
		}
		i, found := slices.BinarySearchFunc(docs, string(r.App), func(doc store.Doc[octo.App], name string) int { return strings.Compare(doc.Name, name) })
		if !found || docs[i].Value.Destroying {
			return r, octo.Errorf(octo.ErrNotFound, "%s was destroyed meanwhile", r.App)
		}
		if app := docs[i].Value; app.Release != r.Number || app.Live == r.Number {
			return d.outcome(ctx, r)
		}
	}
	if ctx.Err() == nil {
		return r, octo.Errorf(octo.ErrUnavailable, "this octohost is shutting down; the rollout of %s goes on when it is back", r.Version())
	}
	return r, context.Cause(ctx)
}

// outcome reads how the rollout of r has ended.
func (d *Deployer) outcome(ctx context.Context, r octo.Release) (octo.Release, error) {
	doc, err := d.releases().Get(ctx, store.ReleaseName(r.App, r.Number))
	if err != nil {
		return r, fmt.Errorf("read release: %w", err)
	}
	if doc.Value.Outcome == octo.Pending {
		doc.Value.Outcome = octo.Superseded // the leader is about to say so
	}
	return doc.Value, nil
}

// live waits until visitors reach the release, and says so.
func (d *Deployer) live(ctx context.Context, p *printer, r octo.Release) error {
	if why := unserved(r); why != "" {
		p.done("%s %s live (%s) after %s", r.App, r.Version(), why, seconds(time.Since(p.began)))
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, routeWait)
	defer cancel()
	err := d.Router.WaitRoute(wait, r.App, func(route octo.Route, ok bool) bool { return ok && route.Release >= r.Number })
	if err != nil && ctx.Err() == nil {
		d.Log.Warn("release is live, but not in the proxy's table yet", "app", r.App, "release", r.Number, "err", err)
	}
	p.done("%s %s live at %s (%s in all)", r.App, r.Version(), d.URL(r.App), seconds(time.Since(p.began)))
	return nil
}

// unserved returns why a release answers no requests; "" means that it does.
func unserved(r octo.Release) string {
	web, ok := r.Process(octo.Web)
	runs := slices.ContainsFunc(r.Processes, func(p octo.Process) bool { return p.Count > 0 })
	switch {
	case !runs:
		return "nothing of it runs"
	case !ok:
		return "it has no web process"
	case web.Count == 0:
		return "no web process runs"
	}
	return ""
}

// failed tells why a release failed, and what still serves.
func (d *Deployer) failed(ctx context.Context, p *printer, r octo.Release) error {
	err := octo.Errorf(octo.ErrInvalid, "%s did not become healthy", r.Version())
	if f := r.Failure; f != nil {
		err = octo.Errorf(octo.ErrInvalid, "%s failed: %s", r.Version(), f.Message)
		err.Hint = f.Hint
	}
	p.failure(err)
	if f := r.Failure; f != nil {
		p.section("Health check:", f.Transcript)
		p.section("Last lines of its log:", f.Logs)
	}
	d.stillServing(ctx, p, r.App)
	if r.Before != nil && !r.Before.Equal(r.Settings) {
		p.warn("What was set before %s holds again.", r.Version())
	}
	return err
}

// failure prints an error, with its hint on a line of its own.
func (p *printer) failure(err error) {
	var e *octo.Error
	if !errors.As(err, &e) {
		p.warn("%v", err)
		return
	}
	for line := range strings.Lines(e.Message) {
		p.warn("%s", strings.TrimRight(line, "\n"))
	}
	if e.Hint != "" {
		p.detail("%s", e.Hint)
	}
}

func (p *printer) section(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	p.detail("%s", title)
	for _, l := range lines {
		p.detail("  %s", l)
	}
}

// stillServing says what visitors get when a deploy has failed.
func (d *Deployer) stillServing(ctx context.Context, p *printer, name octo.Name) {
	app, err := d.apps().Get(ctx, string(name))
	if err != nil {
		return // it goes without saying that the store has failed
	}
	switch live := app.Value.Live; {
	case live == 0:
		p.warn("Nothing was deployed before, so nothing is serving.")
	case d.serves(ctx, name, live):
		p.warn("%s is still serving.", octo.Version(live))
	default:
		p.warn("%s stays, but nothing of it is healthy at the moment (see: octo ps -a %s).", octo.Version(live), name)
	}
}

// serves reports whether an instance is healthy that a release has made or taken over.
func (d *Deployer) serves(ctx context.Context, app octo.Name, release int) bool {
	nodes, err := store.Docs[[]octo.Instance]{Store: d.Store, Prefix: store.HavePrefix}.All(ctx)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(nodes, func(node store.Doc[[]octo.Instance]) bool {
		return slices.ContainsFunc(node.Value, func(i octo.Instance) bool {
			return i.App == app && i.Release <= release && i.Phase == octo.PhaseHealthy
		})
	})
}
