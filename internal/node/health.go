package node

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/octohost/octohost/internal/failpoint"
	"github.com/octohost/octohost/internal/octo"
)

const (
	adoptTimeout   = time.Second      // for an instance that ran before to accept a connection
	checkEvery     = 10 * time.Second // of a healthy instance
	unhealthyEvery = 2 * time.Second  // of one that is not
	maxMisses      = 3                // checks in a row until an instance is unhealthy
	steadyRun      = time.Second      // after which a process that is not asked is healthy
)

// pause is how long to wait between two checks while an instance starts: the sooner
// it is found to be ready, the sooner a push is live. Commands cost more.
func pause(kind octo.CheckKind, since time.Duration) time.Duration {
	steps := [...]time.Duration{10 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond}
	if kind == octo.CheckCmd {
		steps = [...]time.Duration{100 * time.Millisecond, 250 * time.Millisecond, time.Second}
	}
	switch {
	case since < time.Second:
		return steps[0]
	case since < 5*time.Second:
		return steps[1]
	}
	return steps[2]
}

// target is where and how the instance is asked.
func (in *instance) target() target {
	t := target{
		kind: in.process.CheckKind(), host: string(in.App), path: in.process.Check.Path,
		container: in.box.ID, command: in.process.Check.Command,
	}
	if in.process.Port != 0 {
		t.address = net.JoinHostPort(in.box.Address, strconv.Itoa(in.process.Port))
	}
	return t
}

// The settings of a check, with the node's own where the process says none.

func every(c octo.Check) time.Duration     { return cmp.Or(c.Interval.Std(), checkEvery) }
func timeoutOf(c octo.Check) time.Duration { return cmp.Or(c.Timeout.Std(), checkTimeout) }
func missesOf(c octo.Check) int            { return cmp.Or(c.Retries, maxMisses) }
func steady(c octo.Check) time.Duration    { return cmp.Or(c.Uptime.Std(), steadyRun) }

// silence is what there is to say of the instance if it does not answer.
func (in *instance) silence() silence {
	return silence{process: in.process, box: *in.box, asked: in.asked}
}

// adopt takes an instance of a live release for healthy at once if it ran before
// this agent did and accepts a connection: a restart of octo is not to be noticed.
// One that cannot be asked for a connection must have run for a moment.
func (l *loop) adopt(in *instance) {
	in.adopted = true
	t, good := in.target(), time.Since(in.box.Started) >= steady(in.process.Check)
	l.do(in, adopt, func(ctx context.Context) func() {
		if t.address != "" && t.kind != octo.CheckNone {
			good = l.checks.knock(ctx, t.address, adoptTimeout)
		}
		return func() {
			switch {
			case !in.known || in.leaving:
			case good:
				l.healthy(in, "")
			default:
				in.down = true
			}
		}
	})
}

// await waits until an instance is healthy, or fails.
func (l *loop) await(in *instance) {
	if in.deadline.IsZero() {
		in.deadline = time.Now().Add(patience(in.process.Check.Deadline.Std(), in.live(), in.attempts))
	}
	if in.process.CheckKind() == octo.CheckNone {
		l.awaitSteady(in)
		return
	}
	t, s, deadline := in.target(), in.silence(), in.deadline
	l.do(in, await, func(ctx context.Context) func() {
		began := time.Now()
		tr := &transcript{}
		last, ok := l.poll(ctx, t, timeoutOf(s.process.Check), deadline, tr)
		if ctx.Err() != nil {
			return func() {}
		}
		if ok {
			failpoint.Hit("node-before-report-healthy")
			return func() {
				if in.known && !in.leaving {
					l.healthy(in, last.note(t.path))
				}
			}
		}
		s.took, s.last = time.Since(began), last
		f := l.explain(ctx, s, tr)
		r, _ := l.readRelease(ctx, in.Assignment) // as it was before, if it cannot be read
		return func() {
			in.reread(r)
			if in.known && !in.leaving {
				in.examined = true
				l.judge(in, f, true)
			}
		}
	})
}

// awaitSteady waits until a process that is not asked has run for a moment.
func (l *loop) awaitSteady(in *instance) {
	moment := steady(in.process.Check)
	wait := min(moment-time.Since(in.box.Started), moment)
	l.do(in, await, func(ctx context.Context) func() {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
			failpoint.Hit("node-before-report-healthy")
		case <-ctx.Done():
		}
		return func() {
			if ctx.Err() == nil && in.known && !in.leaving {
				l.healthy(in, "")
			}
		}
	})
}

// poll asks until an answer is good, or the deadline has passed.
func (l *loop) poll(ctx context.Context, t target, timeout time.Duration, deadline time.Time, tr *transcript) (answer, bool) {
	began := time.Now()
	for {
		at := time.Since(began)
		a := l.ask(ctx, t, knockTimeout, min(timeout, max(time.Until(deadline), knockTimeout)))
		tr.add(at, a.describe(t))
		if ctx.Err() != nil || a.good() {
			return a, a.good()
		}
		wait := pause(t.kind, time.Since(began))
		if time.Now().Add(wait).After(deadline) {
			return a, false
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return a, false
		}
	}
}

// healthy says that an instance is.
func (l *loop) healthy(in *instance, note string) {
	if in.status.Phase != octo.PhaseHealthy {
		l.log.Info("instance healthy", "app", in.App, "release", in.Release, "instance", in.Instance)
	}
	in.signal(octo.SignalPass)
	in.status.Note = note
	in.misses, in.up = 0, true
	half := every(in.process.Check) / 2
	in.due = time.Now().Add(half + rand.N(half)) //nolint:gosec // only spreads the load
	if in.down {
		in.down = false
		l.record(in, octo.EventInstanceUp, "it is healthy again")
	}
}

// check sees whether a healthy instance still is, and one that was not is again. A
// miss makes the agent look at the container too: an event may have been lost.
func (l *loop) check(in *instance) {
	in.due = time.Now().Add(every(in.process.Check))
	if in.process.CheckKind() == octo.CheckNone {
		l.look(in)
		if in.status.Phase == octo.PhaseUnhealthy {
			l.healthy(in, "") // it runs, and there is nothing else to ask
		}
		return
	}
	c := in.process.Check
	t, s, last := in.target(), in.silence(), in.misses+1 == missesOf(c)
	l.do(in, check, func(ctx context.Context) func() {
		began, timeout := time.Now(), timeoutOf(c)
		a := l.ask(ctx, t, timeout, timeout)
		var f *octo.Failure
		if !a.good() && last && ctx.Err() == nil {
			tr := &transcript{}
			tr.add(0, a.describe(t))
			s.took, s.last = time.Since(began), a
			f = l.explain(ctx, s, tr)
		}
		return func() {
			switch {
			case ctx.Err() != nil || !in.known || in.leaving:
			case a.seen == seenUnheard: // that says nothing about the instance
				in.due = time.Now().Add(unhealthyEvery)
			case a.good():
				l.passed(in, a.note(t.path))
			default:
				l.missed(in, f)
			}
		}
	})
}

func (l *loop) passed(in *instance, note string) {
	due := in.due
	l.healthy(in, note)
	in.due = due
}

// missed counts a check that was not good.
func (l *loop) missed(in *instance, f *octo.Failure) {
	in.known = false
	in.misses++
	if in.status.Phase == octo.PhaseUnhealthy {
		in.due = time.Now().Add(unhealthyEvery)
	}
	if f == nil || in.status.Phase != octo.PhaseHealthy {
		return
	}
	in.due = time.Now().Add(unhealthyEvery)
	in.signal(octo.SignalMiss)
	in.status.Failure = f
	l.log.Warn("instance unhealthy", "app", in.App, "release", in.Release, "instance", in.Instance, "reason", f.Message)
	l.down(in, f.Message)
}
