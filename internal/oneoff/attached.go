package oneoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// maxRuns is how many programs of one app may run beside its instances.
const maxRuns = 32

// Attach runs a program in the image of the app's release, with somebody attached,
// until it has ended. When ctx ends, so does the program.
func (r *Runner) Attach(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	release := r.cfg.Hold()
	defer func() { release() }()
	j, err := r.prepare(ctx, who, app, p)
	if err != nil {
		return octo.Exit{}, err
	}
	defer r.mind(j.spec.Name)()
	j.Attached = true
	c, session, err := r.start(ctx, j, at.In != nil)
	if err != nil {
		return octo.Exit{}, err
	}
	release() // its container holds it now
	release = func() {}
	if at.Began != nil {
		at.Began(runOf(c))
	}
	code, err := converse(ctx, session, p.Terminal, at)
	return r.exit(ctx, j, c, code, err)
}

// prepare works out what is to run for somebody.
func (r *Runner) prepare(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program) (job, error) {
	release, err := r.release(ctx, app)
	if err != nil {
		return job{}, err
	}
	j, err := plan(r.cfg.Host, string(runProcess), who.User, release, p, time.Now())
	if err != nil {
		return j, err
	}
	all, err := r.list(ctx, app)
	if err != nil {
		return j, err
	}
	running := 0
	for _, c := range all {
		if c.State == engine.StateRunning {
			running++
		}
	}
	if running >= maxRuns {
		return j, octo.Errorf(octo.ErrConflict, "%d programs of %s run already, which is the most", running, app).
			WithHint("see which with: octo run:list -a %s; end one with: octo run:stop NAME -a %s", app, app)
	}
	return j, nil
}

// start starts an attached program. Its container is removed by the loop, which is
// told to look when the caller does not mind it any more.
func (r *Runner) start(ctx context.Context, j job, input bool) (c engine.Container, s engine.Session, err error) {
	at := engine.Attach{Input: input, Terminal: j.program.Terminal, Window: j.program.Window, Logged: j.logged}
	err = r.place(ctx, &j, func(spec engine.Spec) (err error) {
		c, s, err = r.cfg.Engine.StartAttached(ctx, spec, at)
		return err
	})
	if err != nil && s != nil {
		err = errors.Join(err, s.Close())
	}
	return c, s, err
}

// place starts a program somewhere.
func (r *Runner) place(ctx context.Context, j *job, start func(engine.Spec) error) error {
	env, files, err := r.cfg.Env(ctx, j.release)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := j.equip(env, files); err != nil {
		return err
	}
	if err := r.cfg.Places.Lend(ctx, j.spec, start); err != nil {
		return err
	}
	_, err = r.app(ctx, j.release.App) // it may have begun to be destroyed just now
	if err != nil {
		r.look()
	}
	return err
}

// exit says how an attached program ended. err is what went wrong on the way.
func (r *Runner) exit(ctx context.Context, j job, c engine.Container, code int, err error) (octo.Exit, error) {
	var refused *engine.CommandError
	switch why := r.why(j.spec.Name); {
	case errors.As(err, &refused):
		return refusedExit(refused, j.spec.Command, "the image of "+string(j.release.App)), nil
	case err != nil:
		return octo.Exit{}, err
	case why != "":
		return octo.Exit{Code: code, Message: j.Name + " was ended: " + why}, nil
	}
	if now, err := r.cfg.Engine.Inspect(ctx, c.ID); err == nil && now.OOMKilled {
		return octo.Exit{
			Code: code, Message: fmt.Sprintf("%s was killed: it used more than its %s of memory", j.Name, octo.Size(j.Memory)),
			Hint: "give it more with --memory",
		}, nil
	}
	return octo.Exit{Code: code}, nil
}

// refusedExit says that a program could not be run, with the exit codes of a shell.
func refusedExit(refused *engine.CommandError, command []string, where string) octo.Exit {
	name := "program"
	if len(command) > 0 {
		name = command[0]
	}
	if !refused.Missing {
		return octo.Exit{Code: 126, Message: fmt.Sprintf("%s in %s cannot be run: %s", name, where, refused.Message)}
	}
	hint := "name a program that is in it, with its path where it is not in PATH"
	if name == "sh" || name == "/bin/sh" || name == "bash" || name == "/bin/bash" {
		hint = "an image FROM scratch, or a distroless one, has no shell; name a program that is in it"
	}
	return octo.Exit{Code: 127, Message: fmt.Sprintf("there is no %s in %s", name, where), Hint: hint}
}

// hangUp is how long it may take to tell a program that its terminal is gone.
const hangUp = 5 * time.Second

// converse connects somebody with a program until it has ended, and returns its exit
// code; or until ctx ends or somebody leaves, which is an error. A program on a
// terminal is told that, as by any terminal: a shell ignores everything milder.
func converse(ctx context.Context, s engine.Session, terminal bool, at octo.Attachment) (code int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer s.Close() //nolint:errcheck // it has ended, or is given up
	if at.In != nil {
		defer at.In.Close() //nolint:errcheck // nothing was written to it
		streams.Go(func() { feed(s, at.In) })
	}
	defer cancel()
	streams.Go(func() { steer(ctx, s, at.Controls) })
	copied := make(chan error, 1)
	streams.Go(func() { copied <- s.Copy(at.Out, errOf(at)) })
	select {
	case err = <-copied:
		if err == nil {
			return s.Wait(ctx)
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if terminal {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUp)
		defer cancel()
		_ = s.Signal(last, "HUP") // it is ended otherwise in any case
	}
	return 0, err
}

// errOf returns where errors go.
func errOf(at octo.Attachment) io.Writer {
	if at.Err == nil {
		return at.Out
	}
	return at.Err
}

// feed passes input on until it ends, or nobody takes it.
func feed(s engine.Session, in io.Reader) {
	if _, err := io.Copy(s, in); err == nil {
		_ = s.CloseWrite() // the program may have ended
	}
}

// steer passes signals and sizes on until ctx ends.
func steer(ctx context.Context, s engine.Session, controls <-chan octo.Control) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-controls:
			if c.Window.Valid() {
				_ = s.Resize(ctx, c.Window) // the program may have ended
			} else {
				_ = s.Signal(ctx, c.Signal) // the same
			}
		}
	}
}
