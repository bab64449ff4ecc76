package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// step is one thing that happens to an agent or around it.
type step struct {
	what string
	n    int           // which instance, where that matters
	mask int           // which instances are wanted
	pass time.Duration // afterwards
}

func (s step) String() string {
	return fmt.Sprintf("%s n=%d mask=%04b pass=%v", s.what, s.n, s.mask, s.pass)
}

const fleet = 4 // instances that may be wanted

func drawSteps(t *rapid.T) []step {
	what := []string{
		"want", "want", "want", "drain", "crash", "oom", "remove", "stop", "restart", "lose", "kill", "return",
		"daemon", "reimage", "occupy", "refuse", "sick", "wait",
	}
	pass := []time.Duration{0, 0, time.Millisecond, 30 * time.Millisecond, time.Second, 12 * time.Second, time.Minute}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what: rapid.SampledFrom(what).Draw(t, "what"), n: rapid.IntRange(1, fleet).Draw(t, "n"),
			mask: rapid.IntRange(0, 1<<fleet-1).Draw(t, "mask"), pass: rapid.SampledFrom(pass).Draw(t, "pass"),
		}
	}), 1, 25).Draw(t, "steps")
}

// world is a rig to which anything may happen.
type world struct {
	*rig
	mask    int
	refuse  atomic.Bool // the engine refuses to start containers
	images  int
	foreign int
}

// TestAgent_ConvergesWhateverHappens: for any sequence of wishes, crashes and
// accidents the machine ends up with what is wanted, and at no time does Address
// lead to a container that is not the one that is meant.
func TestAgent_ConvergesWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := drawSteps(rt)
		var problem error
		synctest.Test(t, func(t *testing.T) {
			w := &world{}
			w.rig = newRig(t, enginetest.FakeConfig{StartDelay: 20 * time.Millisecond, StartError: w.startError})
			w.engine = &laggard{Fake: w.fake, lag: 7 * time.Millisecond}
			problem = w.live(steps)
		})
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

func (w *world) startError(spec engine.Spec) error {
	if w.refuse.Load() && spec.Labels[engine.LabelInstance] != "" {
		return errors.New("cannot start now")
	}
	return nil
}

// live lets everything happen, and returns what was wrong.
func (w *world) live(steps []step) error {
	w.release(1, octo.Live)
	w.want()
	w.run()
	for i, s := range steps {
		w.happen(s)
		if err := w.watch(s.pass); err != nil {
			return fmt.Errorf("after step %d (%v): %w", i, s, err)
		}
	}
	w.refuse.Store(false)
	w.fake.Return()
	w.setBehaviour(nil)
	if err := w.watch(3 * time.Minute); err != nil {
		return fmt.Errorf("in the end: %w", err)
	}
	return w.converged()
}

// watch lets time pass, and looks at the table again and again.
func (w *world) watch(pass time.Duration) error {
	for n := 1; ; n *= 2 {
		synctest.Wait()
		if err := w.addressesAreRight(); err != nil || pass <= 0 {
			return err
		}
		part := min(pass, time.Duration(n)*5*time.Millisecond)
		pass -= part
		<-time.After(part)
	}
}

func (w *world) happen(s step) {
	id := web(1, s.n).Instance
	switch s.what {
	case "want":
		w.mask = s.mask
		w.want(w.wanted(0)...)
	case "drain":
		w.want(w.wanted(s.mask)...)
		w.mask &^= s.mask
	case "lose", "kill":
		w.fake.Lose(s.what == "kill")
	case "return":
		w.fake.Return()
	case "daemon", "reimage":
		w.restart(s)
	case "occupy":
		w.foreign++
		_, _ = w.fake.Start(context.Background(), engine.Spec{ // taken, or there is no network: as well
			Name: fmt.Sprint("foreign-", w.foreign), Image: w.image, Network: "octohost-01234567-1", Address: fmt.Sprintf("10.213.0.%d", 2+s.mask),
		})
	case "refuse":
		w.refuse.Store(!w.refuse.Load())
	case "sick":
		w.setBehaviour(func(c engine.Container) answer {
			if c.Labels[engine.LabelInstance] == string(id) {
				return answer{seen: seenAnswer, status: 500}
			}
			return answer{seen: seenAnswer, status: 200}
		})
	default:
		w.toContainer(s.what, id)
	}
}

// toContainer does something to the container of an instance, if it has one.
func (w *world) toContainer(what string, id octo.InstanceID) {
	for _, c := range w.containers() {
		if c.Labels[engine.LabelInstance] != string(id) {
			continue
		}
		switch what {
		case "crash":
			w.fake.Crash(c.ID, 1)
		case "oom":
			w.fake.OutOfMemory(c.ID)
		case "remove":
			_ = w.fake.Remove(context.Background(), c.ID) // the engine may be away
		case "stop", "restart":
			_ = w.fake.Stop(context.Background(), c.ID, time.Second)
			if what == "restart" {
				_, _ = w.fake.Restart(context.Background(), c.ID)
			}
		}
	}
}

// restart ends the daemon and starts it again, perhaps with something else under the
// same names: an app was destroyed and created anew meanwhile.
func (w *world) restart(s step) {
	w.stop()
	if s.what == "reimage" {
		w.images++
		w.image = w.fake.AddImage(engine.Image{Command: []string{fmt.Sprint("/app-", w.images)}})
		w.release(1, octo.Live)
		w.mask = s.mask
		w.want(w.wanted(0)...)
	}
	w.run()
}

// wanted are the assignments of the mask; those of drain are to be drained.
func (w *world) wanted(drain int) []octo.Assignment {
	var as []octo.Assignment
	for n := 1; n <= fleet; n++ {
		bit := 1 << (n - 1)
		if (w.mask|drain)&bit == 0 {
			continue
		}
		a := web(1, n)
		a.Drain = drain&bit != 0
		as = append(as, a)
	}
	return as
}

// addressesAreRight checks every address that the agent gives. While the engine is
// lost it gives none; what it would say then is asked of the fake's own memory.
func (w *world) addressesAreRight() error {
	for n := 1; n <= fleet; n++ {
		id := web(1, n).Instance
		address, ok := w.agent.Address(id)
		if !ok {
			continue
		}
		cs, err := w.fake.List(context.Background(), nil)
		if err != nil {
			return fmt.Errorf("%s has address %s while the engine is lost", id, address)
		}
		i := slices.IndexFunc(cs, func(c engine.Container) bool { return c.Address+":5000" == address })
		if i < 0 {
			return fmt.Errorf("address %s of %s is nobody's", address, id)
		}
		if c := cs[i]; c.Labels[engine.LabelInstance] != string(id) || c.Image != w.image || !running(&c) {
			return fmt.Errorf("address %s of %s is that of %s %v", address, id, c.Name, c.Labels)
		}
	}
	return nil
}

func (w *world) converged() error {
	var want, have []string
	for _, a := range w.wanted(0) {
		want = append(want, string(a.Instance)+" running")
		if got := w.instance(a.Instance).Phase; got != octo.PhaseHealthy {
			return fmt.Errorf("%s is %s", a.Instance, got)
		}
		if _, ok := w.agent.Address(a.Instance); !ok {
			return fmt.Errorf("%s has no address", a.Instance)
		}
	}
	have = w.names()
	if !slices.Equal(want, have) {
		return fmt.Errorf("want %v, have %v", want, have)
	}
	if list, _ := w.have(); len(list) != len(want) {
		return fmt.Errorf("want %v, reports %v", want, w.phases())
	}
	return nil
}
