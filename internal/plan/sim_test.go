package plan_test

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
)

// sim is a small world in which the planner's answers are applied as control and
// the nodes would.
type sim struct {
	plan.World
	lingers  func() bool // whether what drains takes one more step; nil means no
	recovers bool        // what is not healthy is helped, as long as its release may not fail
}

func newSim(nodes ...string) *sim {
	s := &sim{World: plan.World{
		Releases: map[plan.Ref]octo.Release{}, Domain: "example.com",
		Have: map[string][]octo.Instance{}, Want: map[string][]octo.Assignment{},
	}}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, octo.Node{Name: n})
		s.Have[n] = nil
	}
	return s
}

// deploy adds the next release of the first app, of new code, with these instances.
func (s *sim) deploy(formation map[octo.Name]int) int {
	if len(s.Apps) == 0 {
		s.Apps = []octo.App{{Name: "hello", Owner: "ann"}}
	}
	a := &s.Apps[0]
	a.Last++
	r := octo.Release{App: a.Name, Number: a.Last, Image: fmt.Sprintf("image-%d", a.Last)}
	for _, name := range []octo.Name{"web", "worker"} {
		if n, ok := formation[name]; ok {
			p := octo.NewProcess(name, 5000)
			p.Count = n
			r.Processes = append(r.Processes, p)
		}
	}
	s.Releases[plan.Ref{App: a.Name, Number: a.Last}] = r
	a.Release = a.Last
	return a.Last
}

// vary adds the next release of the first app, of the same code with other settings.
func (s *sim) vary(change func(*octo.Release)) int {
	a := &s.Apps[0]
	r := s.Releases[plan.Ref{App: a.Name, Number: a.Release}]
	r.Processes = slices.Clone(r.Processes)
	r.Outcome, r.Failure = octo.Pending, nil
	a.Last++
	r.Number = a.Last
	change(&r)
	s.Releases[plan.Ref{App: a.Name, Number: a.Last}] = r
	a.Release = a.Last
	return a.Last
}

// count returns a change that wants n copies of a process.
func count(process octo.Name, n int) func(*octo.Release) {
	return of(process, func(p *octo.Process) { p.Count = n })
}

// of returns a change of a process.
func of(process octo.Name, change func(*octo.Process)) func(*octo.Release) {
	return func(r *octo.Release) {
		for i := range r.Processes {
			if r.Processes[i].Name == process {
				change(&r.Processes[i])
			}
		}
	}
}

func (s *sim) outcome(n int) octo.Outcome {
	return s.Releases[plan.Ref{App: "hello", Number: n}].Outcome
}

// next plans once and applies the answer.
func (s *sim) next() plan.Documents {
	d := plan.Next(s.World)
	for _, v := range d.Verdicts {
		r := s.Releases[v.Ref]
		if r.Outcome == octo.Pending {
			r.Outcome, r.Failure = v.Outcome, v.Failure
			s.Releases[v.Ref] = r
		}
		a := &s.Apps[0]
		if a.Release == v.Number {
			switch v.Outcome {
			case octo.Live:
				a.Live = v.Number
			case octo.Failed:
				a.Release = a.Live
			}
		}
	}
	s.Want = d.Want
	return d
}

// step lets every node take one step: unknown assignments start, draining ones go.
// What is starting becomes as become says.
func (s *sim) step(become func(octo.InstanceID) octo.Phase) {
	for _, n := range s.Nodes {
		node, as := n.Name, s.Want[n.Name]
		old := map[octo.InstanceID]octo.Instance{}
		for _, i := range s.Have[node] {
			old[i.ID] = i
		}
		var have []octo.Instance
		for _, a := range as {
			i, seen := old[a.Instance]
			switch {
			case a.Drain && !seen:
				continue
			case a.Drain && s.lingers != nil && s.lingers():
				i.Phase = octo.PhaseDraining
			case a.Drain:
				continue
			case !seen:
				i = octo.Instance{ID: a.Instance, App: a.App, Release: a.Release, Process: a.Process, Node: node, Phase: octo.PhaseStarting}
			case i.Phase == octo.PhaseStarting, s.recovers && i.Phase == octo.PhaseUnhealthy,
				s.recovers && i.Phase == octo.PhaseFailed && s.outcome(i.Release) == octo.Live:
				i.Phase = become(a.Instance)
			}
			if i.Phase == octo.PhaseFailed {
				i.Failure = &octo.Failure{Kind: octo.FailedExit, Message: "it ended"}
			}
			have = append(have, i)
		}
		s.Have[node] = have
	}
}

func allHealthy(octo.InstanceID) octo.Phase { return octo.PhaseHealthy }
func allFail(octo.InstanceID) octo.Phase    { return octo.PhaseFailed }

func (s *sim) settle(t require.TestingT, become func(octo.InstanceID) octo.Phase) plan.Documents {
	var last plan.Documents
	same := 0 // rounds without a change: an instance needs two to become healthy
	for range 100 {
		d := s.next()
		s.step(become)
		if same++; fmt.Sprint(d) != fmt.Sprint(last) {
			same = 0
		}
		if same == 4 {
			return d
		}
		last = d
	}
	require.Fail(t, "the plan does not come to rest")
	return last
}

func ids(d plan.Documents) []string {
	var out []string
	for _, as := range d.Want {
		for _, a := range as {
			s := string(a.Instance)
			if a.Drain {
				s += " drain"
			}
			out = append(out, s)
		}
	}
	return out
}

// singleton makes a process of the wanted release one.
func (s *sim) singleton(process octo.Name) {
	r := s.Releases[plan.Ref{App: "hello", Number: s.Apps[0].Release}]
	of(process, func(p *octo.Process) { p.Singleton = true })(&r)
}

func (s *sim) isHealthy(id octo.InstanceID) bool {
	for _, is := range s.Have {
		for _, i := range is {
			if i.ID == id {
				return i.Phase == octo.PhaseHealthy
			}
		}
	}
	return false
}
