package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	// maxStarting is how many containers are started at the same time.
	maxStarting = 4
	// retryEvery is the pause after an engine or a store has failed, at first.
	retryEvery = time.Second
	maxRetry   = 30 * time.Second
)

// loop owns everything that changes while an agent runs. One goroutine applies what
// the others found out; they hand over functions.
type loop struct {
	*Agent
	ctx   context.Context // of Run: ends every task
	log   *slog.Logger
	inbox chan func()
	tasks sync.WaitGroup

	begin    map[action]func(*instance) // starts the task of an action
	slots    chan struct{}              // a token for each container that is being started
	running  chan struct{}              // a token for each health command that runs
	journal  *journal
	reporter *reporter

	instances map[octo.InstanceID]*instance
	want      map[octo.InstanceID]octo.Assignment // nil until it was read
	synced    bool                                // the engine is there, and its containers were listed
	streaming bool                                // the engine sends events
	silent    time.Time                           // since when it does not answer; zero: it does
	listing   bool                                // a list is under way
	settled   bool                                // everything that ran before has been looked at
	seq       uint64                              // counts events
	syncs     uint64                              // counts times when all was in doubt
}

func newLoop(ctx context.Context, a *Agent) *loop {
	l := &loop{
		Agent: a, ctx: ctx, log: a.cfg.Log.With("node", a.cfg.Name), inbox: make(chan func()),
		slots: make(chan struct{}, maxStarting), running: make(chan struct{}, maxRunning),
		instances: map[octo.InstanceID]*instance{},
	}
	l.begin = map[action]func(*instance){
		look: l.look, load: l.load, discard: l.discard, start: l.start, restart: l.restart,
		adopt: l.adopt, await: l.await, check: l.check, autopsy: l.autopsy, review: l.review,
		drain: l.drain, stop: l.stop, remove: l.remove,
	}
	l.journal = newJournal(a.cfg.Record)
	l.reporter = newReporter(l)
	return l
}

// run applies what comes in until the context ends, and then waits for all others.
func (l *loop) run() {
	journal := sync.WaitGroup{}
	journal.Go(l.journal.run)
	l.tasks.Go(l.followWant)
	l.tasks.Go(l.followEngine)
	l.tasks.Go(l.reporter.run)
	l.tasks.Go(l.sampleMemory)
	for l.ctx.Err() == nil {
		select {
		case apply := <-l.inbox:
			apply()
		case <-l.ctx.Done():
		}
	}
	for _, in := range l.instances {
		l.setAlarm(in, time.Time{})
	}
	l.tasks.Wait()
	l.journal.close()
	journal.Wait()
}

// post hands a function to the loop. It is not called when Run ends before.
func (l *loop) post(apply func()) {
	select {
	case l.inbox <- apply:
	case <-l.ctx.Done():
	}
}

// do lets a task work for an instance, and then the loop apply what it returns.
func (l *loop) do(in *instance, a action, work func(context.Context) func()) {
	ctx, cancel := context.WithCancel(l.ctx)
	in.busy, in.cancel = a, cancel
	l.publish(in) // what is about to be stopped is no address any more
	l.tasks.Go(func() {
		apply := work(ctx)
		l.post(func() {
			in.busy, in.cancel = rest, nil
			apply()
			cancel() // not before: until now it says that the task was interrupted
			l.advance(in)
		})
	})
}

// advance does what is next for an instance, and publishes what became of it.
func (l *loop) advance(in *instance) {
	if !l.synced || l.want == nil {
		l.publish(in)
		return
	}
	if due := in.news.due; !due.IsZero() && !time.Now().Before(due) {
		l.tell(in)
	}
	a := in.next(time.Now(), l.cfg.Host)
	if a == forget {
		l.forget(in)
		return
	}
	if a == start && l.crowded(in) {
		a = rest // until the other is forgotten
	}
	if in.adopting && in.busy == rest && a != look && a != load && a != adopt {
		in.adopting = false
	}
	if begin := l.begin[a]; begin != nil {
		begin(in)
	}
	l.setAlarm(in, in.wakeAt(time.Now()))
	l.publish(in)
	l.settle()
}

// publish makes the table and the report say what is known of an instance. It comes
// before anything else that follows from a doubt.
func (l *loop) publish(in *instance) {
	address := in.address(l.cfg.Host)
	if !l.synced {
		address = ""
	}
	if address != in.published {
		in.published = address
		if address == "" {
			l.addresses.Delete(in.Instance)
		} else {
			l.addresses.Store(in.Instance, address)
		}
	}
	if in.refresh(l.cfg.Host) {
		l.changed()
	}
}

// wakeAt is when the instance has to be thought of again without being asked, or the
// zero time.
func (in *instance) wakeAt(now time.Time) time.Time {
	var at time.Time
	for _, t := range []time.Time{in.retry, in.due, in.news.due} {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// setAlarm wakes an instance at a time; the zero time ends an earlier alarm. It is
// counted as a task until it has rung or was ended.
func (l *loop) setAlarm(in *instance, at time.Time) {
	if in.alarm != nil && in.alarm.Stop() {
		l.tasks.Done()
	}
	in.alarm = nil
	if at.IsZero() {
		return
	}
	l.tasks.Add(1)
	in.alarm = time.AfterFunc(time.Until(at), func() {
		defer l.tasks.Done()
		l.post(func() { l.advance(in) })
	})
}

// settle lets the first report be written when everything has been looked at.
func (l *loop) settle() {
	if l.settled || !l.synced {
		return
	}
	for _, in := range l.instances {
		if in.adopting {
			return
		}
	}
	l.settled = true
	l.changed()
}

// changed has the report written.
func (l *loop) changed() {
	if l.settled {
		l.reporter.wake()
	}
}

// forget drops an instance that is gone, and starts it anew if it is wanted again.
func (l *loop) forget(in *instance) {
	l.setAlarm(in, time.Time{})
	l.addresses.Delete(in.Instance)
	delete(l.instances, in.Instance)
	l.cfg.Proxy.Forget(in.Instance)
	l.log.Info("instance gone", "app", in.App, "release", in.Release, "instance", in.Instance)
	if a, ok := l.want[in.Instance]; ok && !a.Drain {
		l.advance(l.create(a, true))
	}
	l.room(in)
	l.settle()
	l.changed()
}

// create begins to own an instance. Known says that it has no container.
func (l *loop) create(a octo.Assignment, known bool) *instance {
	in := &instance{Assignment: a, known: known, trusted: known, doubt: l.seq}
	in.status = octo.Instance{
		ID: a.Instance, App: a.App, Release: a.Release, Process: a.Process,
		Node: l.cfg.Name, Since: time.Now(),
	}
	l.instances[a.Instance] = in
	l.changed()
	return in
}

// failed says that something could not be done, and has it tried again soon.
func (l *loop) failed(in *instance, what string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	in.troubles++
	pause := min(retryEvery<<min(in.troubles-1, 5), maxRetry)
	in.retry = time.Now().Add(pause)
	l.log.Warn("instance task failed", "app", in.App, "release", in.Release, "instance", in.Instance, "task", what, "err", err)
}

// slot waits for a turn to start a container; done gives it back.
func (l *loop) slot(ctx context.Context) (done func(), err error) {
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// mine are the labels of everything of this octohost, with more if given.
func (l *loop) mine(more ...string) map[string]string {
	labels := map[string]string{engine.LabelHost: l.cfg.Host}
	for i := 0; i+1 < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}
