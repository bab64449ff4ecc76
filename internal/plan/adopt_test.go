package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestNext_ScaleUpKeepsWhatRuns(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1, "worker": 1})
	s.settle(t, allHealthy)
	n := s.vary(count("web", 3))
	d := s.next()
	require.ElementsMatch(t, []string{"hello.web.v1.1", "hello.worker.v1.1", "hello.web.v2.2", "hello.web.v2.3"}, ids(d), "ordinals go on")
	require.Len(t, d.Routes[0].Backends, 1)
	d = s.settle(t, allHealthy)
	require.Len(t, d.Routes[0].Backends, 3)
	require.Equal(t, 2, d.Routes[0].Release)
	require.Equal(t, octo.Live, s.outcome(n))
}

func TestNext_ScaleDownDrainsTheYoungestAndIsLiveAtOnce(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	s.vary(count("web", 12))
	s.settle(t, allHealthy)
	n := s.vary(count("web", 2))
	d := s.next()
	require.Len(t, d.Routes[0].Backends, 2)
	require.Equal(t, octo.Live, s.outcome(n))
	require.ElementsMatch(t, []string{"hello.web.v1.1", "hello.web.v2.2"}, ids(s.settle(t, allHealthy)))
}

func TestNext_StopAndStart(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 2, "worker": 0})
	s.settle(t, allHealthy)
	stopped := s.vary(count("web", 0))
	d := s.next()
	require.Equal(t, octo.Live, s.outcome(stopped), "nothing is wanted, so everything is live")
	require.Empty(t, d.Routes[0].Backends)
	require.Empty(t, ids(s.settle(t, allHealthy)))
	s.vary(count("web", 2))
	require.Len(t, s.settle(t, allHealthy).Routes[0].Backends, 2)
}

func TestNext_ALimitOfOneProcessLeavesTheOthers(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 2, "worker": 1})
	s.settle(t, allHealthy)
	s.vary(of("worker", func(p *octo.Process) { p.Memory = 1 << 30 }))
	require.ElementsMatch(t, []string{"hello.web.v1.1", "hello.web.v1.2", "hello.worker.v2.1"}, ids(s.settle(t, allHealthy)))
}

func TestNext_RestartReplacesOneByOne(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 2})
	s.settle(t, allHealthy)
	s.vary(of("web", func(p *octo.Process) { p.Restarts++ }))
	for range 20 {
		d := s.next()
		require.GreaterOrEqual(t, len(d.Routes[0].Backends), 2)
		require.LessOrEqual(t, len(ids(d)), 3+1)
		s.step(allHealthy)
	}
	require.ElementsMatch(t, []string{"hello.web.v2.1", "hello.web.v2.2"}, ids(s.settle(t, allHealthy)))
}

// What is not healthy proves nothing: a release must not be live because of it.
func TestNext_OnlyHealthyCopiesAreAdoptedDuringARollout(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	s.Have["n1"][0].Phase = octo.PhaseUnhealthy
	n := s.vary(count("web", 2))
	require.Contains(t, ids(s.next()), "hello.web.v2.2", "the first may be adopted yet")
	require.Contains(t, ids(s.next()), "hello.web.v1.1", "it is what we would go back to")
	require.Equal(t, octo.Pending, s.outcome(n))
	require.ElementsMatch(t, []string{"hello.web.v2.2", "hello.web.v2.3"}, ids(s.settle(t, allHealthy)))
}

func TestNext_OnceLiveAnAdoptedCopyMayFailWithoutBeingReplaced(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	s.vary(count("web", 2))
	before := ids(s.settle(t, allHealthy))
	s.Have["n1"][0].Phase = octo.PhaseFailed // its node starts it again
	require.Equal(t, before, ids(s.next()))
	require.Equal(t, 2, s.Apps[0].Live)
}

func TestNext_NewCodeThatFailsLeavesAdoptedCopies(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	s.vary(count("web", 2))
	before := ids(s.settle(t, allHealthy))
	n := s.deploy(map[octo.Name]int{"web": 2})
	d := s.settle(t, allFail)
	require.Equal(t, octo.Failed, s.outcome(n))
	require.Equal(t, before, ids(d))
	require.Len(t, d.Routes[0].Backends, 2)
}

// A scale down that cannot become live (its worker fails) has taken nothing away.
func TestNext_AFailedScaleDownHasDrainedNothing(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 3, "worker": 0})
	before := ids(s.settle(t, allHealthy))
	n := s.vary(func(r *octo.Release) { count("web", 1)(r); count("worker", 1)(r) })
	for range 3 {
		s.next()
		s.step(allFail)
	}
	require.Equal(t, before, ids(s.settle(t, allFail)))
	require.Equal(t, octo.Failed, s.outcome(n))
}

func TestNext_ASingletonIsExchangedLastAndNeverTwice(t *testing.T) {
	s := newSim("n1", "n2")
	s.deploy(map[octo.Name]int{"web": 1, "worker": 1})
	s.singleton("worker")
	s.settle(t, allHealthy)
	n := s.deploy(map[octo.Name]int{"web": 1, "worker": 1})
	s.singleton("worker")

	lingering := 3 // its end takes a while
	s.lingers = func() bool { lingering--; return lingering >= 0 }
	var seen []string
	for range 20 {
		d := s.next()
		var workers []string
		for _, id := range ids(d) {
			if len(id) > 12 && id[:12] == "hello.worker" {
				workers = append(workers, id)
			}
		}
		require.Len(t, workers, min(1, len(workers)), "two at once: %v", workers)
		if now := append(workers, ""); len(seen) == 0 || seen[len(seen)-1] != now[0] {
			seen = append(seen, now[0])
		}
		if workers != nil && workers[0] == "hello.worker.v1.1 drain" {
			require.True(t, s.isHealthy("hello.web.v2.1"), "the others come first")
		}
		s.step(allHealthy)
	}
	require.Equal(t, []string{"hello.worker.v1.1", "hello.worker.v1.1 drain", "hello.worker.v2.1"}, seen)
	require.Equal(t, octo.Live, s.outcome(n))
}

func TestNext_ASingletonComesBackWhenItsSuccessorFails(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"worker": 1})
	s.singleton("worker")
	s.settle(t, allHealthy)
	n := s.deploy(map[octo.Name]int{"worker": 1})
	s.singleton("worker")
	d := s.settle(t, func(id octo.InstanceID) octo.Phase {
		if id == "hello.worker.v2.1" {
			return octo.PhaseFailed
		}
		return octo.PhaseHealthy
	})
	require.Equal(t, octo.Failed, s.outcome(n))
	require.Equal(t, []string{"hello.worker.v1.1"}, ids(d))
	require.Equal(t, octo.PhaseHealthy, s.Have["n1"][0].Phase)
}
