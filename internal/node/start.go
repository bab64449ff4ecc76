package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

const (
	startTimeout = 2 * time.Minute
	// maxPlaces is how many addresses are tried when the engine says that one is taken.
	maxPlaces = 16
	// reviewEvery is how often the release of a failed instance is read again.
	reviewEvery = 10 * time.Second
)

// readRelease reads a release as it is now.
func (l *loop) readRelease(ctx context.Context, a octo.Assignment) (*octo.Release, error) {
	docs := store.Docs[octo.Release]{Store: l.cfg.Store, Prefix: store.ReleasesPrefix}
	doc, err := docs.Get(ctx, store.ReleaseName(a.App, a.Release))
	if err != nil {
		return nil, fmt.Errorf("read release %s %s: %w", a.App, octo.Version(a.Release), err)
	}
	return &doc.Value, nil
}

// isPassing reports whether an error says nothing about what was asked for, so that
// it may be asked for again.
func isPassing(err error) bool {
	return errors.Is(err, octo.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// load reads the release of an instance.
func (l *loop) load(in *instance) {
	l.do(in, load, func(ctx context.Context) func() {
		r, err := l.readRelease(ctx, in.Assignment)
		return func() {
			if err == nil {
				err = in.setRelease(r)
			}
			// What leaves does not wait for a document that will never be right.
			in.missing = err != nil && !isPassing(err)
			if err != nil && !(in.missing && in.leaving) {
				l.failed(in, "load", err)
				return
			}
			in.troubles = 0
		}
	})
}

// start makes and starts the container of an instance.
func (l *loop) start(in *instance) {
	in.signal(octo.SignalStart)
	in.adopted, in.asked = true, time.Now()
	r, p, asOf := in.release, in.process, l.seq
	l.do(in, start, func(ctx context.Context) func() {
		c, err := l.startContainer(ctx, in.Assignment, r, p)
		if err != nil {
			return l.notStarted(ctx, in, err)
		}
		failpoint.Hit("node-after-start")
		return func() {
			l.launched(in)
			l.took(in, &c, asOf)
		}
	})
}

// startContainer finds a place for a container and starts it there.
func (l *loop) startContainer(ctx context.Context, a octo.Assignment, r *octo.Release, p octo.Process) (engine.Container, error) {
	done, err := l.slot(ctx)
	if err != nil {
		return engine.Container{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var env []string
	var files []engine.File
	if l.cfg.Env != nil {
		if env, files, err = l.cfg.Env(ctx, *r); err != nil {
			return engine.Container{}, fmt.Errorf("read configuration: %w", err)
		}
	}
	return l.startSomewhere(ctx, a, func(at place) engine.Spec {
		spec := containerSpec(l.cfg.Host, a, r, p, env, at)
		spec.Files = files
		return spec
	})
}

// startSomewhere starts a container at the first place that is free. The engine says
// in one word that an address is taken, and that a name is; a container of the same
// instance tells them apart, and is looked at by the caller.
func (l *loop) startSomewhere(ctx context.Context, a octo.Assignment, spec func(place) engine.Spec) (c engine.Container, err error) {
	err = l.networks.somewhere(ctx, func(at place) (err error) {
		failpoint.Hit("node-before-start")
		if c, err = l.cfg.Engine.Start(ctx, spec(at)); !errors.Is(err, octo.ErrConflict) {
			return err
		}
		if cs, lookErr := l.find(ctx, a.Instance, ""); lookErr != nil || len(cs) > 0 {
			return errors.Join(errClash, lookErr)
		}
		return err
	})
	return c, err
}

// errClash says that the instance has a container that was not known of.
var errClash = errors.New("a container of the instance exists")

// notStarted judges an error of a start.
func (l *loop) notStarted(ctx context.Context, in *instance, err error) func() {
	r, _ := l.readRelease(ctx, in.Assignment) // as it was before, if it cannot be read
	return func() {
		in.reread(r)
		switch {
		case isPassing(err):
			l.failed(in, "start", err)
		case errors.Is(err, errClash): // it is looked at now
		default:
			in.attempts++
			l.judge(in, refused(in.process.Name, err), false)
		}
		in.known, in.trusted = false, false // something may have been made nevertheless
	}
}

// restart starts a container that ended.
func (l *loop) restart(in *instance) {
	in.signal(octo.SignalStart)
	in.adopted, in.asked = true, time.Now()
	id, asOf := in.box.ID, l.seq
	l.do(in, restart, func(ctx context.Context) func() {
		c, err := l.restartContainer(ctx, id)
		return func() {
			switch {
			case err == nil:
				l.launched(in)
				l.took(in, &c, asOf)
				return
			case isPassing(err):
				l.failed(in, "restart", err)
			case !errors.Is(err, octo.ErrNotFound):
				l.log.Warn("container cannot be started again", "app", in.App, "release", in.Release, "instance", in.Instance, "err", err)
				in.spoiled = true // another may take its place
				in.attempts++
				in.due = time.Now().Add(backoff(in.attempts))
			}
			in.known, in.trusted = false, false
		}
	})
}

func (l *loop) restartContainer(ctx context.Context, id string) (engine.Container, error) {
	done, err := l.slot(ctx)
	if err != nil {
		return engine.Container{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	failpoint.Hit("node-before-start")
	c, err := l.cfg.Engine.Restart(ctx, id)
	if err == nil {
		failpoint.Hit("node-after-start")
	}
	return c, err
}

// launched counts a start that the engine has done.
func (l *loop) launched(in *instance) {
	l.tell(in)
	if in.launched {
		in.status.Restarts++
	}
	in.launched = true
	in.attempts++
	in.troubles = 0
	l.log.Info("instance started", "app", in.App, "release", in.Release, "instance", in.Instance, "restarts", in.status.Restarts)
}

// took takes over what a task made of the container, which is doubtful if something
// happened since event number asOf.
func (l *loop) took(in *instance, box *engine.Container, asOf uint64) {
	l.setBox(in, box)
	if in.doubt > asOf {
		in.known, in.trusted = false, false
	}
}

// setBox takes over a container, and frees the place of the one before.
func (l *loop) setBox(in *instance, box *engine.Container) {
	if old := in.box; old != nil && (box == nil || placeOf(*box) != placeOf(*old)) {
		l.networks.free(placeOf(*old))
	}
	in.setBox(box)
}

// discard removes a container that is not meant: another's with the same label, one
// that cannot be started again, a half-made one.
func (l *loop) discard(in *instance) {
	c, extra := in.box, false
	if len(in.surplus) > 0 {
		c, extra = &in.surplus[0], true
	}
	grace, asOf := in.grace(), l.seq
	box, at := *c, placeOf(*c)
	l.do(in, discard, func(ctx context.Context) func() {
		err := l.removeContainer(ctx, box, grace)
		return func() {
			switch {
			case err != nil:
				l.failed(in, "discard", err)
				in.known, in.trusted = false, false
			case extra:
				in.surplus = in.surplus[1:]
				if in.box == nil || placeOf(*in.box) != at {
					l.networks.free(at)
				}
			default:
				l.took(in, nil, asOf)
			}
		}
	})
}
