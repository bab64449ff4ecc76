package oneoff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Enter runs a program inside of a running instance ("web.1", or "web" for the first of
// that process; empty for the first of all), or of a run, with somebody attached. When
// ctx ends, so does the program.
func (r *Runner) Enter(ctx context.Context, who octo.Identity, app octo.Name, instance string, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	if len(p.Command) == 0 {
		p.Command = []string{"sh"}
	}
	if err := check(p); err != nil {
		return octo.Exit{}, err
	}
	select {
	case <-r.seen: // else it would be taken for what a crash has left
	case <-ctx.Done():
		return octo.Exit{}, ctx.Err()
	}
	where, err := r.find(ctx, app, instance)
	if err != nil {
		return octo.Exit{}, err
	}
	spec := engine.ExecSpec{
		Attach:  engine.Attach{Input: at.In != nil, Terminal: p.Terminal, Window: p.Window},
		Command: p.Command, Env: p.Env,
	}
	if p.Terminal && p.Term != "" {
		spec.Env = append([]string{"TERM=" + p.Term}, p.Env...)
	}
	session, err := r.cfg.Engine.Exec(ctx, where.Container, spec)
	if errors.Is(err, octo.ErrNotFound) || errors.Is(err, octo.ErrConflict) {
		return octo.Exit{}, octo.Errorf(octo.ErrConflict, "%s of %s does not run at the moment", where.Name, app).WithHint("see what runs with: octo ps -a %s", app)
	}
	if err != nil {
		return octo.Exit{}, err
	}
	r.cfg.Record(octo.Event{Kind: octo.EventRunStarted, App: app, Release: where.Release, User: who.User, Message: who.User + " enters " + where.Name})
	if at.Began != nil {
		at.Began(octo.Run{Name: where.Name, App: app, Release: where.Release, User: who.User, Attached: true, State: octo.RunRunning, Command: shorten(p.Command[0])})
	}
	return r.inside(ctx, session, where, p, at)
}

// inside stays connected with a program inside of an instance.
func (r *Runner) inside(ctx context.Context, s engine.Session, where box, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	code, err := converse(ctx, s, p.Terminal, at)
	var refused *engine.CommandError
	switch {
	case errors.As(err, &refused):
		return refusedExit(refused, p.Command, where.Name), nil
	case err != nil:
		r.later(func(ctx context.Context) { r.endInside(ctx, s, where) })
		return octo.Exit{}, err
	}
	return octo.Exit{Code: code}, nil
}

// endInside ends a program inside of an instance whose user is gone.
func (r *Runner) endInside(ctx context.Context, p engine.Process, where box) {
	for _, step := range []struct {
		signal octo.SignalName
		grace  time.Duration
	}{{"TERM", octo.DefaultGrace.Std()}, {"KILL", hangUp}} {
		if err := p.Signal(ctx, step.signal); err != nil {
			if ctx.Err() == nil {
				r.cfg.Log.Warn("a program inside of an instance cannot be ended", "instance", where.Name, "err", err)
			}
			return
		}
		waiting, cancel := context.WithTimeout(ctx, step.grace)
		_, err := p.Wait(waiting)
		cancel()
		if err == nil {
			return
		}
	}
}

// strayTime is how long a program inside of an instance may go on after a start of
// octo that it was there before: longer than a health check takes.
const strayTime = time.Minute

// stray is a program inside of an instance that nobody is attached to any more.
type stray struct {
	engine.Process
	where box
}

// strays returns what runs inside of instances as this octo begins. Those who entered
// them have lost their connection with the octo before.
func (r *Runner) strays(ctx context.Context) []stray {
	all, err := r.cfg.Engine.List(ctx, map[string]string{engine.LabelHost: r.cfg.Host})
	if err != nil && ctx.Err() == nil {
		r.cfg.Log.Warn("what runs inside of instances cannot be looked after", "err", err)
	}
	var found []stray
	for _, c := range all {
		for _, id := range c.Inside {
			found = append(found, stray{r.cfg.Engine.Inside(id), box{Name: c.Name, Container: c.ID}})
		}
	}
	return found
}

// endStrays ends those that do not end by themselves.
func (r *Runner) endStrays(ctx context.Context, found []stray) {
	if len(found) == 0 {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(strayTime):
	}
	var ending sync.WaitGroup
	for _, s := range found {
		ending.Go(func() { r.endInside(ctx, s, s.where) })
	}
	ending.Wait()
}

// box is a container that somebody may enter.
type box struct {
	Name      string
	Release   int
	Container string
}

// find returns the container of an instance, or of a run.
func (r *Runner) find(ctx context.Context, app octo.Name, name string) (box, error) {
	docs, err := store.Docs[[]octo.Instance]{Store: r.cfg.Store, Prefix: store.HavePrefix}.All(ctx)
	if err != nil {
		return box{}, fmt.Errorf("list instances: %w", err)
	}
	var found []octo.Instance
	for _, d := range docs {
		for _, i := range d.Value {
			if i.App == app && i.Container != "" && (name == "" || name == string(i.Process) || name == i.ShortName()) {
				found = append(found, i)
			}
		}
	}
	if len(found) > 0 {
		i := slices.MinFunc(found, nearer)
		return box{i.ShortName(), i.Release, i.Container}, nil
	}
	if name == "" {
		return box{}, octo.Errorf(octo.ErrConflict, "nothing of %s runs that could be entered", app).WithHint("run a program beside it: octo run -a %s -- COMMAND", app)
	}
	c, err := r.named(ctx, app, name)
	if err != nil {
		return box{}, octo.Errorf(octo.ErrNotFound, "%s has no instance %.60s that runs", app, name).WithHint("see what runs with: octo ps -a %s", app)
	}
	return box{name, runOf(c).Release, c.ID}, nil
}

// nearer sorts instances by how likely they are meant.
func nearer(a, b octo.Instance) int {
	return cmp.Or(
		-compareBool(a.Phase == octo.PhaseHealthy, b.Phase == octo.PhaseHealthy),
		-compareBool(a.Process == octo.Web, b.Process == octo.Web),
		cmp.Compare(a.Process, b.Process), -cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID.Ordinal(), b.ID.Ordinal()),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
