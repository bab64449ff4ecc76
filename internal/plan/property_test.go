package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
)

// The invariants of the planner, under any history of deploys, changes of settings,
// deaths and phases.
func TestNext_Invariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim("n1", "n2")
		s.lingers = func() bool { return rapid.Bool().Draw(t, "lingers") }
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			act(t, s)
			if len(s.Apps) == 0 {
				continue
			}
			wanted := s.Apps[0].Release > 0 // else nothing was ever live: nothing is kept
			serving := healthyWeb(s)
			before := s.World
			before.Apps, before.Releases = slices.Clone(s.Apps), maps.Clone(s.Releases)
			d := s.next()
			checkRoutes(t, s, d)
			checkCode(t, before, d)
			checkUnique(t, d)
			checkSingletons(t, s, d)
			if wanted && serving > 0 && !s.stops() {
				require.NotEmpty(t, d.Routes[0].Backends, "an app with a healthy instance is served")
			}
		}
		if len(s.Apps) > 0 {
			s.lingers, s.recovers = nil, true
			d := s.settle(t, allHealthy)
			require.Equal(t, fmt.Sprint(d.Want), fmt.Sprint(plan.Next(s.World).Want), "same input, no further change")
			checkAtRest(t, s, d)
		}
	})
}

// act does one of the things that happen.
func act(t *rapid.T, s *sim) {
	phases := []octo.Phase{octo.PhaseStarting, octo.PhaseHealthy, octo.PhaseHealthy, octo.PhaseUnhealthy, octo.PhaseFailed}
	action := rapid.IntRange(0, 9).Draw(t, "action")
	if action > 0 && (len(s.Apps) == 0 || s.Apps[0].Release == 0 && action < 4) {
		action = 9
	}
	process := rapid.SampledFrom([]octo.Name{"web", "worker"}).Draw(t, "process")
	switch action {
	case 0:
		s.deploy(map[octo.Name]int{"web": rapid.IntRange(1, 4).Draw(t, "web"), "worker": rapid.IntRange(0, 2).Draw(t, "worker")})
		if rapid.Bool().Draw(t, "singleton") {
			s.singleton("worker")
		}
	case 1:
		s.vary(func(r *octo.Release) {
			count(process, rapid.IntRange(0, 4).Draw(t, "count"))(r)
		})
	case 2:
		s.vary(of(process, func(p *octo.Process) { p.Restarts++ }))
	case 3: // back to what was before
		was := s.Releases[plan.Ref{App: "hello", Number: rapid.IntRange(1, s.Apps[0].Last).Draw(t, "to")}]
		s.vary(func(r *octo.Release) { r.Image, r.Processes = was.Image, was.Processes })
	default:
		s.step(func(octo.InstanceID) octo.Phase { return rapid.SampledFrom(phases).Draw(t, "phase") })
	}
}

// stops reports whether no web is wanted.
func (s *sim) stops() bool {
	r := s.Releases[plan.Ref{App: "hello", Number: s.Apps[0].Release}]
	web, _ := r.Process(octo.Web)
	return web.Count == 0
}

// healthyWeb counts the healthy web instances that may serve: not told to go.
func healthyWeb(s *sim) int {
	n := 0
	gone := map[octo.InstanceID]bool{}
	for _, as := range s.Want {
		for _, a := range as {
			gone[a.Instance] = a.Drain
		}
	}
	for _, is := range s.Have {
		for _, i := range is {
			if drain, wanted := gone[i.ID]; wanted && !drain && i.Process == octo.Web && i.Phase == octo.PhaseHealthy {
				n++
			}
		}
	}
	return n
}

func checkRoutes(t require.TestingT, s *sim, d plan.Documents) {
	healthy, draining := map[octo.InstanceID]bool{}, map[octo.InstanceID]bool{}
	for _, is := range s.Have {
		for _, i := range is {
			healthy[i.ID] = i.Phase == octo.PhaseHealthy
		}
	}
	for _, as := range d.Want {
		for _, a := range as {
			draining[a.Instance] = a.Drain
		}
	}
	for _, r := range d.Routes {
		for _, b := range r.Backends {
			require.True(t, healthy[b.Instance], "%s is routed but not healthy", b.Instance)
			require.False(t, draining[b.Instance], "%s is routed but told to go", b.Instance)
		}
	}
}

// checkCode checks that visitors of a release that is live meet no other code, as long
// as there is a healthy copy of that.
func checkCode(t require.TestingT, w plan.World, d plan.Documents) {
	a := w.Apps[0]
	target := w.Releases[plan.Ref{App: "hello", Number: a.Release}]
	if target.Number == 0 || target.Outcome != octo.Live || a.Live != a.Release {
		return
	}
	var of []octo.Release
	right := false
	for _, as := range d.Want {
		for _, x := range as {
			for _, b := range d.Routes[0].Backends {
				if b.Instance == x.Instance {
					r := w.Releases[plan.Ref{App: "hello", Number: x.Release}]
					of = append(of, r)
					right = right || target.SameInstance(&r, octo.Web)
				}
			}
		}
	}
	for _, r := range of {
		require.True(t, !right || target.SameInstance(&r, octo.Web), "%s is served while %s is live", r.Version(), target.Version())
	}
}

func checkUnique(t require.TestingT, d plan.Documents) {
	seen := map[octo.InstanceID]bool{}
	for _, as := range d.Want {
		for _, a := range as {
			require.False(t, seen[a.Instance], "%s is assigned twice", a.Instance)
			seen[a.Instance] = true
		}
	}
}

// checkSingletons checks that where one of the copies of a process must be alone, it is.
func checkSingletons(t require.TestingT, s *sim, d plan.Documents) {
	copies, alone := map[octo.Name][]octo.InstanceID{}, map[octo.Name]bool{}
	for _, as := range d.Want {
		for _, a := range as {
			r := s.Releases[plan.Ref{App: a.App, Number: a.Release}]
			p, _ := r.Process(a.Process)
			copies[a.Process] = append(copies[a.Process], a.Instance)
			if p.Singleton {
				alone[a.Process] = true
			}
		}
	}
	for process := range alone {
		require.Len(t, copies[process], 1)
	}
}

// checkAtRest checks that there is exactly what is wanted.
func checkAtRest(t require.TestingT, s *sim, d plan.Documents) {
	a := s.Apps[0]
	target := s.Releases[plan.Ref{App: "hello", Number: a.Release}]
	copies, ordinals := map[octo.Name]int{}, map[string]bool{}
	for _, as := range d.Want {
		for _, x := range as {
			require.False(t, x.Drain)
			r := s.Releases[plan.Ref{App: "hello", Number: x.Release}]
			require.True(t, target.SameInstance(&r, x.Process), "%s at rest for %s", x.Instance, target.Version())
			copies[x.Process]++
			name := fmt.Sprint(x.Process, x.Instance.Ordinal())
			require.False(t, ordinals[name], "%s is there twice", name)
			ordinals[name] = true
		}
	}
	for _, p := range target.Processes {
		if p.Singleton {
			p.Count = min(p.Count, 1)
		}
		require.Equal(t, p.Count, copies[p.Name], p.Name)
	}
	require.Len(t, d.Routes[0].Backends, copies[octo.Web])
	require.Equal(t, a.Live, a.Release)
}

// A change of counts alone restarts nothing, and takes away no more than it says.
func TestNext_ScalingTouchesOnlyWhatItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim("n1", "n2")
		s.deploy(map[octo.Name]int{"web": rapid.IntRange(1, 6).Draw(t, "web"), "worker": rapid.IntRange(0, 3).Draw(t, "worker")})
		s.settle(t, allHealthy)
		s.lingers = func() bool { return rapid.Bool().Draw(t, "lingers") }
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			process := rapid.SampledFrom([]octo.Name{"web", "worker"}).Draw(t, "process")
			to := rapid.IntRange(0, 6).Draw(t, "to")
			before := s.running()
			n := s.vary(count(process, to))
			for range rapid.IntRange(1, 5).Draw(t, "steps") {
				s.next()
				now := s.running()
				for name, ids := range before {
					least := len(ids)
					if name == process {
						least = min(least, to)
					}
					require.GreaterOrEqual(t, common(ids, now[name]), least, "%s was restarted", name)
				}
				s.step(func(octo.InstanceID) octo.Phase {
					return rapid.SampledFrom([]octo.Phase{octo.PhaseStarting, octo.PhaseHealthy}).Draw(t, "phase")
				})
			}
			s.settle(t, allHealthy)
			require.Equal(t, octo.Live, s.outcome(n))
			require.Len(t, s.running()[process], to)
		}
	})
}

// running returns the healthy instances that are to stay, by process.
func (s *sim) running() map[octo.Name]map[octo.InstanceID]bool {
	out := map[octo.Name]map[octo.InstanceID]bool{"web": {}, "worker": {}}
	for _, as := range s.Want {
		for _, a := range as {
			if !a.Drain && s.isHealthy(a.Instance) {
				out[a.Process][a.Instance] = true
			}
		}
	}
	return out
}

func common(a, b map[octo.InstanceID]bool) int {
	n := 0
	for id := range a {
		if b[id] {
			n++
		}
	}
	return n
}
