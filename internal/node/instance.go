package node

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// instance is what the loop knows of one assignment. Only the loop touches it; at
// most one task works for it at a time.
type instance struct {
	octo.Assignment
	leaving bool // it must go, and its container with it

	release *octo.Release // nil until it was read
	process octo.Process
	missing bool // the release cannot be read, now or later

	box     *engine.Container  // its container; nil means that it has none
	known   bool               // box is the truth, as far as the engine told
	trusted bool               // nothing speaks against what is known since it was seen
	doubt   uint64             // the last event that concerned it
	surplus []engine.Container // others that carry its label

	busy   action             // what a task is doing
	cancel context.CancelFunc // ends that task; nil when there is none
	due    time.Time          // no start and no check before
	retry  time.Time          // nothing at all before: something failed
	alarm  *time.Timer

	launched bool      // a container of it was started before
	asked    time.Time // when the engine was asked last to start it
	adopting bool      // it ran before this agent did, and was not looked at yet
	adopted  bool      // it was asked whether it is healthy at once
	attempts int       // starts in a row that did not last
	deadline time.Time // to become healthy; zero until the first check
	misses   int       // health checks in a row that failed
	troubles int       // failures in a row of the engine or the store
	examined bool      // why it ended was looked at
	slow     bool      // it took too long to become healthy, and must be started anew
	terminal bool      // it has failed, and stays so while its release rolls out
	spoiled  bool      // its container cannot be started again
	drained  bool
	oomAt    time.Time // when a process of it was killed for memory, in this run
	up, down bool      // it was healthy; it was healthy, and then was not
	news     news

	status    octo.Instance // what is to be reported
	reported  octo.Instance // what the reporter was told of
	published string        // the address that is in the table
}

// action is what can be done for an instance.
type action uint8

// The actions. Each is a task but for rest and forget.
const (
	rest    action = iota // nothing, until something happens
	look                  // ask the engine for its container
	load                  // read its release
	discard               // remove a container that is not meant
	start                 // make and start its container
	restart               // start its container again
	adopt                 // see whether a container that was there is healthy
	await                 // wait until it is healthy
	check                 // see whether it still is
	autopsy               // find out why it ended
	review                // see whether the release that failed is live nevertheless
	drain                 // let requests in flight end
	stop                  // stop its container
	remove                // remove its container
	forget                // it is gone
)

// interruptible reports whether a task that does a may be ended when something
// else matters more: it changes nothing.
func (a action) interruptible() bool { return a == adopt || a == await || a == check || a == review }

// next decides what to do for an instance. It is a pure function of what is known.
//
//	not looked at → look → no container → start ──┐
//	                     → not the one   → discard │
//	                     → ended → autopsy → restart┤
//	                     → runs ─────────────────┴─► await → check …
//	leaving: drain → stop → remove → forget
func (in *instance) next(now time.Time, host string) action {
	switch {
	case in.busy != rest, now.Before(in.retry):
		return rest
	case !in.known:
		return look
	case len(in.surplus) > 0:
		return discard
	case in.leaving:
		return in.nextLeaving()
	case in.release == nil:
		return load
	case in.terminal:
		return in.whenDue(now, review)
	case in.box == nil:
		return in.whenDue(now, start)
	case in.spoiled || !isMeant(in.box, host, in.Assignment, in.release):
		return discard
	}
	return in.nextState(now)
}

// nextState decides for an instance whose container is the one that is meant.
func (in *instance) nextState(now time.Time) action {
	switch in.box.State {
	case engine.StateRunning:
		return in.nextRunning(now)
	case engine.StateExited:
		if !in.examined {
			return autopsy
		}
		return in.whenDue(now, restart)
	case engine.StatePaused, engine.StateRestarting:
		return in.whenDue(now, look) // somebody else's doing, and theirs to end
	}
	return discard // half made, or half removed
}

func (in *instance) nextRunning(now time.Time) action {
	switch {
	case in.slow:
		return stop
	case in.status.Phase == octo.PhaseHealthy, in.status.Phase == octo.PhaseUnhealthy:
		return in.whenDue(now, check)
	case !in.adopted && in.live():
		return adopt
	}
	return await
}

// whenDue is a once its time has come.
func (in *instance) whenDue(now time.Time, a action) action {
	if now.Before(in.due) {
		return rest
	}
	return a
}

func (in *instance) nextLeaving() action {
	switch {
	case in.box == nil:
		return forget
	case in.release == nil && !in.missing:
		return load
	case in.box.State == engine.StateRunning && !in.drained:
		return drain
	case in.box.State == engine.StateExited, in.box.State == engine.StateCreated, in.box.State == engine.StateDead:
		return remove
	}
	return stop
}

// live reports whether the release was live, as far as it was read last. What was
// live is started for ever; what was not may fail.
func (in *instance) live() bool { return in.release != nil && in.release.Outcome == octo.Live }

// address returns where the instance is reached, or "" on any doubt.
func (in *instance) address(host string) string {
	if !in.trusted || !running(in.box) || in.release == nil || in.process.Port == 0 || in.box.Address == "" {
		return ""
	}
	if in.busy == stop || in.busy == discard || in.slow || !isMeant(in.box, host, in.Assignment, in.release) {
		return ""
	}
	return net.JoinHostPort(in.box.Address, strconv.Itoa(in.process.Port))
}

// signal moves the instance to the phase that follows.
func (in *instance) signal(s octo.Signal) {
	if p := in.status.Phase.After(s); p != in.status.Phase {
		in.status.Phase, in.status.Since = p, time.Now()
	}
}

// setRelease takes over the release and the process of it.
func (in *instance) setRelease(r *octo.Release) error {
	p, ok := r.Process(in.Process)
	if !ok {
		return octo.Errorf(octo.ErrNotFound, "release %s of %s has no process %s", r.Version(), r.App, in.Process)
	}
	p.Check.Path = cmp.Or(p.Check.Path, "/")
	p.Check.Deadline = cmp.Or(p.Check.Deadline, octo.DefaultDeadline)
	in.release, in.process = r, p
	return nil
}

// reread takes over the release as it is now (nil: it could not be read). Only its
// outcome can differ; one that lost the process is not believed.
func (in *instance) reread(r *octo.Release) {
	if r != nil {
		_ = in.setRelease(r)
	}
}

// setBox takes over what the engine said of the container (nil: there is none).
func (in *instance) setBox(box *engine.Container) {
	if !sameRun(in.box, box) {
		in.deadline, in.misses = time.Time{}, 0
		in.oomAt, in.slow, in.examined = time.Time{}, false, false
	}
	if box == nil {
		in.spoiled = false
	}
	in.box, in.known, in.trusted = box, true, true
}

// distrust says that what is known may be wrong from event number n on.
func (in *instance) distrust(n uint64) {
	in.known, in.trusted, in.doubt = false, false, n
	in.interrupt()
}

// interrupt ends a task that changes nothing.
func (in *instance) interrupt() {
	if in.cancel != nil && in.busy.interruptible() {
		in.cancel()
	}
}

// refresh brings the report up to date, and returns whether it changed.
func (in *instance) refresh(host string) bool {
	in.status.Address = in.address(host)
	if in.box != nil {
		in.status.Container, in.status.Started = in.box.ID, in.box.Started
	} else {
		in.status.Container = ""
	}
	if !running(in.box) {
		in.status.Memory = 0
	}
	changed := in.status != in.reported
	in.reported = in.status
	return changed
}

// String names the action, for logs.
func (a action) String() string {
	names := [...]string{
		"rest", "look", "load", "discard", "start", "restart", "adopt", "await", "check",
		"autopsy", "review", "drain", "stop", "remove", "forget",
	}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}
