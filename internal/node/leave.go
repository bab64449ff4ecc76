package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/octo"
)

const (
	removeTimeout = time.Minute
	// stopSlack is what an engine may take to stop a container beyond its grace.
	stopSlack = 30 * time.Second
)

// grace is how long the instance may take to end by itself.
func (in *instance) grace() time.Duration {
	if in.release == nil {
		return octo.DefaultGrace.Std()
	}
	return in.process.Grace.Std()
}

// drain lets the requests end that are in flight. The address stays as it is.
func (l *loop) drain(in *instance) {
	patience := octo.DefaultDrain.Std()
	if in.release != nil {
		patience = in.process.Drain.Std()
	}
	l.do(in, drain, func(ctx context.Context) func() {
		failpoint.Hit("node-before-drain")
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		cut, err := l.cfg.Proxy.Drain(ctx, in.Instance)
		return func() {
			in.drained = true
			if err != nil || cut > 0 {
				l.log.Warn("requests were cut", "app", in.App, "release", in.Release, "instance", in.Instance, "cut", cut, "err", err)
			}
		}
	})
}

// stop ends the container of an instance that leaves, or that is too slow.
func (l *loop) stop(in *instance) {
	id, grace := in.box.ID, in.grace()
	l.do(in, stop, func(ctx context.Context) func() {
		failpoint.Hit("node-before-stop")
		err := l.stopContainer(ctx, id, grace)
		return func() {
			if err != nil {
				l.failed(in, "stop", err)
			}
			in.known, in.trusted = false, false
		}
	})
}

// remove removes the container of an instance that leaves.
func (l *loop) remove(in *instance) {
	box, asOf := *in.box, l.seq
	l.do(in, remove, func(ctx context.Context) func() {
		failpoint.Hit("node-before-remove")
		err := l.removeContainer(ctx, box, 0)
		return func() {
			if err != nil {
				l.failed(in, "remove", err)
				in.known, in.trusted = false, false
				return
			}
			l.took(in, nil, asOf)
		}
	})
}

func (l *loop) stopContainer(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+stopSlack)
	defer cancel()
	if err := l.cfg.Engine.Stop(ctx, id, grace); err != nil && !errors.Is(err, octo.ErrNotFound) {
		return fmt.Errorf("stop container: %w", err)
	}
	return nil
}

// removeContainer removes a container, and stops it before if it runs. What it printed
// last is read before; if that takes too long it is lost, for nothing is to run for the
// sake of its log.
func (l *loop) removeContainer(ctx context.Context, box engine.Container, grace time.Duration) error {
	id := box.ID
	switch box.State {
	case engine.StateRunning, engine.StatePaused, engine.StateRestarting:
		if err := l.stopContainer(ctx, id, grace); err != nil {
			return err
		}
	}
	l.lastWords(ctx, box)
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	if err := l.cfg.Engine.Remove(ctx, id); err != nil && !errors.Is(err, octo.ErrNotFound) {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

func (l *loop) lastWords(ctx context.Context, box engine.Container) {
	if l.cfg.LastWords == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	if err := l.cfg.LastWords(ctx, box); err != nil && ctx.Err() != context.Canceled {
		l.log.Warn("the last lines of a container are lost", "container", box.ID, "err", err)
	}
}
