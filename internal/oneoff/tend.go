package oneoff

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

const (
	// tendEvery is how often the loop looks even when nothing happened: a run may have
	// reached its time.
	tendEvery = 30 * time.Second
	// farewell is how long the end of the daemon waits for attached runs to be told.
	farewell = 3 * time.Second
	retry    = time.Second
)

// What is kept of detached runs that have ended.
const (
	keepFor  = 24 * time.Hour
	keepMost = 20 // of each app
)

// Run looks after all runs until ctx is done: it ends those whose time is over, whose
// client is gone, or whose app is, and removes what is left of them. What runs
// detached goes on.
func (r *Runner) Run(ctx context.Context) error {
	defer close(r.over)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { r.listen(ctx) })
	watching.Go(func() {
		for range r.cfg.Store.Watch(ctx, store.AppsPrefix) { // an app may have to go
			r.look()
		}
	})
	t := tender{Runner: r, busy: map[string]bool{}}
	defer t.tasks.Wait()
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			t.leave(ctx)
			return nil
		case job := <-r.jobs:
			t.tasks.Go(func() { job(ctx) })
		case <-r.wake:
			t.tend(ctx)
		case <-tick.C:
			t.tend(ctx)
		}
	}
}

// listen wakes the loop when something happens to a run, and records what people may
// want to hear about.
func (r *Runner) listen(ctx context.Context) {
	for ctx.Err() == nil {
		for e, err := range r.cfg.Engine.Events(ctx, r.mine()) {
			if err != nil {
				continue // the stream goes on by itself, and begins with a sync
			}
			r.report(e)
			r.look()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// report records the beginning of a run, and the end of one that nobody is attached to.
func (r *Runner) report(e engine.Event) {
	k, run := cardOf(engine.Container{Labels: e.Labels}), runOf(engine.Container{Labels: e.Labels})
	event := octo.Event{App: run.App, Release: run.Release, User: run.User}
	switch {
	case e.Kind == engine.EventStart:
		event.Kind, event.Message = octo.EventRunStarted, fmt.Sprintf("%s runs a program as %s", run.User, run.Name)
	case e.Kind == engine.EventDie && !k.Attached:
		event.Kind, event.Message = octo.EventRunEnded, fmt.Sprintf("%s ended with exit code %d", run.Name, e.ExitCode)
	default:
		return
	}
	r.cfg.Record(event)
}

// action is what is to be done with a run.
type action int

const (
	leave  action = iota
	end           // signal, wait, kill
	remove        // what has ended
)

// situation is what a verdict follows from besides the container.
type situation struct {
	now    time.Time
	minded bool // a caller looks after it
	doomed bool // its app is being destroyed, or gone
	newer  int  // how many runs of its app have ended later
}

// verdict says what is to be done with a run.
func verdict(c *engine.Container, s situation) action {
	k := cardOf(*c)
	switch {
	case c.State == engine.StateRunning, c.State == engine.StatePaused, c.State == engine.StateRestarting:
		if s.doomed || s.now.After(k.Expires) || k.Attached && !s.minded {
			return end
		}
		return leave
	case s.minded:
		return leave // it is not started yet, or looked at
	case s.doomed, k.Attached, c.State != engine.StateExited:
		return remove
	case s.newer >= keepMost, s.now.After(c.Finished.Add(keepFor)):
		return remove
	}
	return leave
}

// why says it, for those who are attached.
func (s situation) why() string {
	if s.doomed {
		return "its app is being destroyed"
	}
	return "its time was over"
}

// tender does what the loop decides.
type tender struct {
	*Runner
	tasks sync.WaitGroup

	mu   sync.Mutex
	busy map[string]bool // by id of container: something is being done
}

// tend looks at every run once.
func (t *tender) tend(ctx context.Context) {
	all, err := t.list(ctx, "")
	if err == nil && len(all) > 0 {
		err = t.judge(ctx, all)
	}
	if err != nil && ctx.Err() == nil {
		t.cfg.Log.Warn("runs cannot be looked after", "err", err)
	}
}

// judge does what is to be done with each run.
func (t *tender) judge(ctx context.Context, all []engine.Container) error {
	docs, err := t.apps().All(ctx)
	if err != nil {
		return fmt.Errorf("list apps: %w", err)
	}
	alive := map[string]bool{}
	for _, d := range docs {
		alive[d.Name] = !d.Value.Destroying
	}
	slices.SortFunc(all, func(a, b engine.Container) int { return b.Finished.Compare(a.Finished) })
	ended := map[string]int{}
	for _, c := range all {
		app := c.Labels[engine.LabelApp]
		s := situation{now: time.Now(), minded: t.isMinded(c.Name), doomed: !alive[app], newer: ended[app]}
		if c.State == engine.StateExited {
			ended[app]++
		}
		t.do(ctx, c, s)
	}
	return nil
}

// do ends or removes a run, if that is to be done and is not being done already.
func (t *tender) do(ctx context.Context, c engine.Container, s situation) {
	what := verdict(&c, s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if what == leave || t.busy[c.ID] {
		return
	}
	t.busy[c.ID] = true
	t.tasks.Go(func() {
		var err error
		if what == end {
			t.because(c.Name, s.why())
			err = t.cfg.Engine.Stop(ctx, c.ID, cardOf(c).Grace.Std())
		} else {
			err = t.remove(ctx, c)
		}
		if err != nil && ctx.Err() == nil {
			t.cfg.Log.Warn("run cannot be ended", "app", c.Labels[engine.LabelApp], "run", cardOf(c).Name, "err", err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.busy, c.ID)
		if err == nil && what == end {
			t.look() // what is left of it
		}
	})
}

// leave tells those runs to end whose clients the daemon takes along. The engine sees
// to it that they do; what is left of them the next start removes.
func (t *tender) leave(ctx context.Context) {
	t.tasks.Wait() // they end with ctx
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	t.tend(last)
}
