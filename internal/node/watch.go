package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	listTimeout = 2 * time.Minute
	lookTimeout = 30 * time.Second
	// engineGrace is how long an engine may be away before what was healthy is not
	// taken for it any more. One that restarts and lets its containers run is back
	// before.
	engineGrace = 5 * time.Second
)

// followEngine tells the loop what happens to containers, in order.
func (l *loop) followEngine() {
	for l.ctx.Err() == nil {
		for event, err := range l.cfg.Engine.Events(l.ctx, l.mine()) {
			if err != nil {
				l.post(func() { l.lost(err) })
				continue
			}
			l.post(func() { l.happened(event) })
		}
		l.pause(retryEvery)
	}
}

// pause waits, unless Run ends.
func (l *loop) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
	}
}

// lost puts everything in doubt: the engine cannot be heard.
func (l *loop) lost(err error) {
	if l.streaming || l.syncs == 0 {
		l.complain("engine lost", err)
		l.journal.add(octo.Event{Kind: octo.EventEngineLost, Node: l.cfg.Name, Message: fmt.Sprintf("the container engine does not answer: %v", err)})
	}
	l.streaming = false
	for _, in := range l.instances {
		in.pardon()
	}
	l.doubtAll()
	if l.silent.IsZero() {
		l.silent = time.Now()
		since := l.silent
		l.tasks.Go(func() {
			l.pause(engineGrace)
			l.post(func() { l.stillLost(since) })
		})
	}
}

// stillLost takes nothing for healthy any more if the engine has been away since then.
func (l *loop) stillLost(since time.Time) {
	if l.silent != since {
		return
	}
	for _, in := range l.instances {
		in.unheard()
		l.publish(in)
	}
}

// pardon forgets what went wrong with an instance just before the engine went away:
// one that ends takes its containers along first, and fails to start them again.
func (in *instance) pardon() {
	if in.terminal || in.leaving {
		return
	}
	in.status.Failure, in.news = nil, news{}
	in.spoiled, in.attempts, in.due = false, 0, time.Time{}
	if in.status.Phase == octo.PhaseFailed {
		in.signal(octo.SignalStart)
	}
}

// unheard says that nobody knows how an instance is, for the engine has been away for
// too long. It is asked as soon as that is back.
func (in *instance) unheard() {
	if in.terminal || in.leaving {
		return
	}
	in.signal(octo.SignalMiss)
	in.due = time.Time{}
	in.status.Note = "the container engine does not answer"
}

// doubtAll takes every address back until all containers have been listed again.
func (l *loop) doubtAll() {
	l.seq++
	l.syncs++
	l.synced = false
	for _, in := range l.instances {
		in.distrust(l.seq)
		l.publish(in)
	}
}

// happened looks again at what an event is about.
func (l *loop) happened(e engine.Event) {
	if e.Kind == engine.EventSync {
		if !l.streaming && l.syncs > 0 {
			l.journal.add(octo.Event{Kind: octo.EventEngineBack, Node: l.cfg.Name, Message: "the container engine answers again"})
		}
		l.streaming, l.silent = true, time.Time{}
		l.doubtAll()
		l.list()
		return
	}
	id := octo.InstanceID(e.Labels[engine.LabelInstance])
	if id == "" {
		return // not an instance: a build step, or somebody's own container of our image
	}
	l.seq++
	in := l.instances[id]
	switch {
	case in == nil:
		l.stray(e)
	case e.Kind == engine.EventOOM:
		l.outOfMemory(in)
	case e.Kind == engine.EventStart && in.expectsStart(e.Container):
	default:
		in.distrust(l.seq)
		l.publish(in)
		l.advance(in)
	}
}

// expectsStart reports whether the start of a container is no news: this agent has
// just asked for it, or has seen the container run and nothing since.
func (in *instance) expectsStart(container string) bool {
	if in.busy == start || in.busy == restart {
		return true
	}
	return in.known && running(in.box) && in.box.ID == container
}

// stray takes on a container that started without being known: the answer to an
// earlier call was lost. It is removed unless it is wanted.
func (l *loop) stray(e engine.Event) {
	if e.Kind == engine.EventStart && l.synced && l.want != nil {
		l.advance(l.own(assignmentOf(engine.Container{Labels: e.Labels})))
	}
}

// own begins to own the instance of a container that was found.
func (l *loop) own(a octo.Assignment) *instance {
	w, wanted := l.want[a.Instance]
	if wanted {
		a = w
	}
	in := l.create(a, false)
	if !wanted || a.Drain {
		in.leaving = true
		in.signal(octo.SignalDrain)
	}
	return in
}

// list asks the engine for every container, once it is there and it is known what is
// wanted.
func (l *loop) list() {
	if l.listing || !l.streaming || l.want == nil || l.synced {
		return
	}
	l.listing = true
	seq, syncs := l.seq, l.syncs
	l.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(l.ctx, listTimeout)
		defer cancel()
		cs, err := l.cfg.Engine.List(ctx, l.mine())
		if err != nil {
			l.complain("containers cannot be listed", err)
			l.pause(retryEvery)
		}
		l.post(func() {
			l.listing = false
			if err == nil && syncs == l.syncs {
				l.listed(cs, seq)
				return
			}
			l.list()
		})
	})
}

// listed takes over what the engine has, as of event number seq.
func (l *loop) listed(cs []engine.Container, seq uint64) {
	found := map[octo.InstanceID][]engine.Container{}
	for _, c := range cs {
		if id := octo.InstanceID(c.Labels[engine.LabelInstance]); id != "" {
			found[id] = append(found[id], c)
		}
	}
	l.networks.learn(placesOf(cs))
	for id, cs := range found {
		if l.instances[id] == nil {
			l.own(assignmentOf(cs[0]))
		}
	}
	for id, in := range l.instances {
		l.relisted(in, found[id], seq)
	}
	if !l.synced {
		l.tasks.Go(l.prepare)
	}
	l.synced = true
	for _, in := range l.instances {
		l.advance(in)
	}
	l.settle()
}

// prepare makes the first network before anybody needs it: the first app does not
// wait for it, and the last one leaves things as it found them.
func (l *loop) prepare() {
	if err := l.networks.ensure(l.ctx, l.networks.name(1)); err != nil && l.ctx.Err() == nil {
		l.log.Warn("cannot prepare a network", "err", err)
	}
}

// relisted takes over the containers of one instance, unless a task is changing
// them: it is looked at afterwards.
func (l *loop) relisted(in *instance, cs []engine.Container, seq uint64) {
	if in.busy != rest && in.busy != drain && !in.busy.interruptible() {
		return
	}
	if !in.launched && !in.leaving && in.box == nil && len(cs) > 0 {
		in.adopting = true
	}
	in.deadline = time.Time{} // that the engine was away is not its fault
	l.seen(in, cs, seq, true)
}

// look asks the engine for the container of one instance.
func (l *loop) look(in *instance) {
	id, asOf := "", l.seq
	if in.box != nil {
		id = in.box.ID
	}
	l.do(in, look, func(ctx context.Context) func() {
		cs, err := l.find(ctx, in.Instance, id)
		return func() {
			if err != nil {
				l.failed(in, "look", err)
				return
			}
			in.troubles = 0
			l.seen(in, cs, asOf, false)
		}
	})
}

// find returns the containers of an instance: that of an id, if it is known and
// still there, else those with its label.
func (l *loop) find(ctx context.Context, instance octo.InstanceID, id string) ([]engine.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if id != "" {
		c, err := l.cfg.Engine.Inspect(ctx, id)
		if !errors.Is(err, octo.ErrNotFound) {
			return []engine.Container{c}, err
		}
	}
	return l.cfg.Engine.List(ctx, l.mine(engine.LabelInstance, string(instance)))
}

// seen takes over the containers of an instance, as they were at event number asOf.
// If something happened since, the instance is looked at again. In a sync, what
// ended did so while nobody could see why.
func (l *loop) seen(in *instance, cs []engine.Container, asOf uint64, sync bool) {
	if in.doubt > asOf {
		return
	}
	box, surplus := pick(cs, func(c *engine.Container) bool {
		return in.release != nil && isMeant(c, l.cfg.Host, in.Assignment, in.release)
	})
	old := in.box
	l.setBox(in, box)
	in.surplus = surplus
	switch {
	case in.leaving, in.terminal:
	case box == nil && old != nil, half(box) && running(old):
		l.vanished(in)
	case running(box) && !sameRun(old, box):
		l.startedElsewhere(in, old != nil)
	case box != nil && box.State == engine.StateExited && (sync || old == nil):
		l.endedUnseen(in)
	case box != nil && box.State == engine.StateExited:
		in.signal(octo.SignalStart) // not healthy any more; why, is looked at next
	case box != nil && box.State != engine.StateRunning:
		in.signal(octo.SignalMiss)
		in.due = time.Now().Add(unhealthyEvery)
	}
}

// half reports whether a container is being removed.
func half(c *engine.Container) bool { return c != nil && c.State == engine.StateDead }

// startedElsewhere follows a start that was not this agent's: it happened before it
// ran, or somebody started the container by hand.
func (l *loop) startedElsewhere(in *instance, again bool) {
	in.signal(octo.SignalStart)
	in.launched, in.due = true, time.Time{}
	in.attempts = max(in.attempts, 1)
	if again {
		in.adopted = true
		in.status.Restarts++
	}
}

// endedUnseen has a container started again that ended while the engine, or this
// agent, was away: nothing can be learnt from it.
func (l *loop) endedUnseen(in *instance) {
	l.down(in, "it ended while the container engine or octo was away; starting it again")
	in.signal(octo.SignalStart)
	in.examined, in.launched = true, true
	in.attempts, in.due = 0, time.Time{}
}
