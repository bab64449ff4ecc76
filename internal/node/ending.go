package node

import (
	"context"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	logTimeout = 5 * time.Second
	// oomEvery is how often it is told at most that an instance runs out of memory.
	oomEvery = time.Minute
	// oomBefore is how long before its end the kernel told that it was out of memory.
	oomBefore = 10 * time.Second
)

// autopsy finds out why a container ended.
func (l *loop) autopsy(in *instance) {
	box, oomAt, asked := *in.box, in.oomAt, in.asked
	e := ending{process: in.process, box: &box, attempts: in.attempts}
	e.oom = box.OOMKilled || (!oomAt.IsZero() && box.Finished.Sub(oomAt) < oomBefore)
	l.do(in, autopsy, func(ctx context.Context) func() {
		f := exited(e)
		f.Logs = l.lastLines(ctx, box.ID, asked)
		r, _ := l.readRelease(ctx, in.Assignment) // as it was before, if it cannot be read
		return func() {
			in.reread(r)
			if in.leaving {
				return
			}
			in.examined = true
			if box.Finished.Sub(box.Started) >= steadyAfter {
				in.attempts = 1
			}
			if e.oom {
				l.outOfMemory(in)
			}
			l.judge(in, f, false)
		}
	})
}

// judge decides what a failure means. While a release rolls out, its instances may
// fail for good; once it was live, they are started for ever. Slow means that the
// container runs, but did not become healthy in time.
func (l *loop) judge(in *instance, f *octo.Failure, slow bool) {
	in.status.Failure = f
	wait := backoff(in.attempts)
	in.due = time.Now().Add(wait)
	l.log.Warn("instance failed", "app", in.App, "release", in.Release, "instance", in.Instance,
		"kind", f.Kind, "reason", f.Message, "attempts", in.attempts, "wait", wait)
	if f.Kind == octo.FailedExit || f.Kind == octo.FailedEngine {
		in.hold(f.Message, wait > 0 || !in.live())
	} else {
		l.down(in, f.Message)
	}
	switch {
	case !in.live() && (slow || in.attempts >= maxAttempts):
		in.terminal = true
		in.signal(octo.SignalFail)
		in.due = time.Now().Add(reviewEvery)
	case in.live() && wait > 0:
		in.slow = slow
		in.signal(octo.SignalFail)
	default:
		in.slow = slow
		in.signal(octo.SignalStart)
	}
}

// review sees whether the release of a failed instance became live all the same.
func (l *loop) review(in *instance) {
	l.do(in, review, func(ctx context.Context) func() {
		r, _ := l.readRelease(ctx, in.Assignment) // as it was before, if it cannot be read
		return func() {
			in.due = time.Now().Add(reviewEvery)
			in.reread(r)
			if in.live() && !in.leaving {
				in.terminal, in.attempts = false, 0
				in.deadline, in.due = time.Time{}, time.Time{}
				in.signal(octo.SignalStart)
			}
		}
	})
}

// vanished judges that somebody has removed the container.
func (l *loop) vanished(in *instance) {
	l.judge(in, &octo.Failure{
		Kind:    octo.FailedEngine,
		Message: "the container of " + string(in.Process) + " was removed by somebody else",
		Hint:    "octo starts another; to stop an app use octo apps:destroy",
	}, false)
}

// explain finds out why an instance that runs is not healthy.
func (l *loop) explain(ctx context.Context, s silence, tr *transcript) *octo.Failure {
	ls, err := listeners(l.checks.proc, s.box.PID)
	s.listeners, s.looked = ls, err == nil
	f := unhealthy(s)
	f.Transcript = tr.lines()
	f.Logs = l.lastLines(ctx, s.box.ID, s.asked)
	return f
}

// lastLines returns the end of what a container printed since a time, as far as it
// can be read.
func (l *loop) lastLines(ctx context.Context, id string, since time.Time) []string {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	var lines []string
	for line, err := range l.cfg.Engine.Logs(ctx, id, engine.LogOptions{Tail: logLines, Since: since}) {
		if err != nil {
			l.log.Debug("log cannot be read", "container", id, "err", err)
			break
		}
		lines = append(lines, tidy(line.Text))
	}
	return lines[max(0, len(lines)-logLines):]
}

// outOfMemory tells that the kernel has killed a process of an instance.
func (l *loop) outOfMemory(in *instance) {
	if time.Since(in.oomAt) < oomEvery && !in.oomAt.IsZero() {
		return
	}
	in.oomAt = time.Now()
	l.record(in, octo.EventInstanceOOM, "the kernel killed a process of it: it used more memory than its limit of "+inMegabytes(in.process.Memory))
}

// down tells that an instance which was healthy is not.
func (l *loop) down(in *instance, why string) { l.downSince(in, why, time.Now()) }

func (l *loop) downSince(in *instance, why string, since time.Time) {
	in.news = news{}
	if in.up {
		in.up, in.down = false, true
		l.recordAt(in, octo.EventInstanceDown, why, since)
	}
}

// news is what has happened to an instance, and is not told yet.
type news struct {
	why   string // empty: there is none
	since time.Time
	due   time.Time // when it is told at the latest
}

// An engine that ends takes its containers along, one by one, while it still answers;
// but it starts none again. So of one that has ended it is told when the engine has
// started it again, or does not seem to go away.
const (
	tellAfter    = 5 * time.Second  // where it is not to be started at once
	tellAtLatest = 30 * time.Second // where it should have been
)

// hold keeps it back for now that the container of an instance has ended, or cannot be
// started again since it has.
func (in *instance) hold(why string, waits bool) {
	now, patience := time.Now(), tellAtLatest
	if waits {
		patience = tellAfter
	}
	if in.up && in.news.why == "" {
		in.news = news{why: why, since: now, due: now.Add(patience)}
	}
}

// tell tells what was kept back.
func (l *loop) tell(in *instance) {
	if in.news.why != "" {
		l.downSince(in, in.news.why, in.news.since)
	}
}

func (l *loop) record(in *instance, kind octo.EventKind, message string) {
	l.recordAt(in, kind, message, time.Now())
}

func (l *loop) recordAt(in *instance, kind octo.EventKind, message string, at time.Time) {
	l.journal.add(octo.Event{
		Kind: kind, App: in.App, Release: in.Release, Node: l.cfg.Name, Time: at,
		Message: string(in.Instance) + ": " + message,
	})
}
