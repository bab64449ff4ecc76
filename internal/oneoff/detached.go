package oneoff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// DefaultTail is how many lines of a run's log are shown when nobody says.
const DefaultTail = 100

// Detach starts a program to which nobody is attached.
func (r *Runner) Detach(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program) (octo.Run, error) {
	defer r.cfg.Hold()()
	p.Terminal = false
	j, err := r.prepare(ctx, who, app, p)
	if err != nil {
		return octo.Run{}, err
	}
	j.logged = true
	defer r.mind(j.spec.Name)()
	var c engine.Container
	err = r.place(ctx, &j, func(spec engine.Spec) (err error) {
		c, err = r.cfg.Engine.Start(ctx, spec)
		return err
	})
	if err != nil {
		return octo.Run{}, err
	}
	return runOf(c), nil
}

// list returns the containers of an app's runs, oldest first; "" means of all apps.
func (r *Runner) list(ctx context.Context, app octo.Name) ([]engine.Container, error) {
	labels := r.mine()
	if app != "" {
		labels[engine.LabelApp] = string(app)
	}
	all, err := r.cfg.Engine.List(ctx, labels)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	slices.SortFunc(all, func(a, b engine.Container) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// mine are the labels of every run of this octohost.
func (r *Runner) mine() map[string]string {
	return map[string]string{engine.LabelHost: r.cfg.Host, engine.LabelOneoff: isOneoff}
}

// Runs returns the runs of an app, oldest first. Those that are detached are kept for
// a while after their end.
func (r *Runner) Runs(ctx context.Context, app octo.Name) ([]octo.Run, error) {
	all, err := r.list(ctx, app)
	if err != nil {
		return nil, err
	}
	var runs []octo.Run
	for _, c := range all {
		if run := runOf(c); !run.Attached || run.State == octo.RunRunning {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// named returns the container of a run; ErrNotFound.
func (r *Runner) named(ctx context.Context, app octo.Name, name string) (engine.Container, error) {
	all, err := r.list(ctx, app)
	if err != nil {
		return engine.Container{}, err
	}
	for _, c := range all {
		if cardOf(c).Name == name {
			return c, nil
		}
	}
	return engine.Container{}, octo.Errorf(octo.ErrNotFound, "%s has no run %.60s", app, name).WithHint("list them with: octo run:list -a %s", app)
}

// StopRun ends a run and forgets it, and returns it as it was.
func (r *Runner) StopRun(ctx context.Context, who octo.Identity, app octo.Name, name string) (octo.Run, error) {
	c, err := r.named(ctx, app, name)
	if err != nil {
		return octo.Run{}, err
	}
	r.because(c.Name, "stopped by "+who.User)
	if err := r.cfg.Engine.Stop(ctx, c.ID, cardOf(c).Grace.Std()); err != nil {
		return octo.Run{}, err
	}
	run := runOf(c)
	if !r.isMinded(c.Name) { // else it is, by those who are attached
		err = r.remove(ctx, c)
	}
	return run, err
}

// remove removes a container and gives its place back, once: the place may be
// another's a moment later.
func (r *Runner) remove(ctx context.Context, c engine.Container) error {
	r.removing.Lock()
	defer r.removing.Unlock()
	if _, err := r.cfg.Engine.Inspect(ctx, c.ID); errors.Is(err, octo.ErrNotFound) {
		return nil
	}
	r.lastWords(ctx, c)
	if err := r.cfg.Engine.Remove(ctx, c.ID); err != nil {
		return err
	}
	r.cfg.Places.Return(c)
	return nil
}

// logTimeout bounds the reading of what a run has printed last.
const logTimeout = 5 * time.Second

func (r *Runner) lastWords(ctx context.Context, c engine.Container) {
	if r.cfg.LastWords == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	if err := r.cfg.LastWords(ctx, c); err != nil && ctx.Err() != context.Canceled {
		r.cfg.Log.Warn("the last lines of a run are lost", "run", cardOf(c).Name, "err", err)
	}
}

// RunLogs yields what a run prints that nobody is attached to, oldest first.
func (r *Runner) RunLogs(ctx context.Context, app octo.Name, name string, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	return func(yield func(octo.LogLine, error) bool) {
		c, err := r.named(ctx, app, name)
		if err == nil && cardOf(c).Attached {
			err = octo.Errorf(octo.ErrConflict, "what %s prints is seen only by those who are attached to it", name)
		}
		if err != nil {
			yield(octo.LogLine{}, err)
			return
		}
		opts := engine.LogOptions{Tail: cmp.Or(q.Tail, DefaultTail), Since: q.Since, Follow: q.Follow}
		for l, err := range r.cfg.Engine.Logs(ctx, c.ID, opts) {
			line := octo.LogLine{Time: l.Time, App: app, Source: octo.LogApp, Process: runProcess, Instance: octo.InstanceID(name), Stderr: l.Stderr, Text: l.Text}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}
