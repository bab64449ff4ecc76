package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
)

// sim is a small world in which the planner's answers are applied as control and
// the nodes would.
type sim struct{ plan.World }

func newSim(nodes ...string) *sim {
	s := &sim{plan.World{
		Releases: map[plan.Ref]octo.Release{}, Domain: "example.com",
		Have: map[string][]octo.Instance{}, Want: map[string][]octo.Assignment{},
	}}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, octo.Node{Name: n})
		s.Have[n] = nil
	}
	return s
}

// deploy adds the next release of the first app, with these instances.
func (s *sim) deploy(formation map[octo.Name]int) int {
	if len(s.Apps) == 0 {
		s.Apps = []octo.App{{Name: "hello", Owner: "ann"}}
	}
	a := &s.Apps[0]
	a.Last++
	r := octo.Release{App: a.Name, Number: a.Last}
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
			case a.Drain:
				continue
			case !seen:
				i = octo.Instance{ID: a.Instance, App: a.App, Release: a.Release, Process: a.Process, Node: node, Phase: octo.PhaseStarting}
			case i.Phase == octo.PhaseStarting:
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

func TestNext_FirstDeployStartsEverythingAndRoutesWhenHealthy(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 2, "worker": 1})
	d := s.next()
	require.ElementsMatch(t, []string{"hello.web.v1.1", "hello.web.v1.2", "hello.worker.v1.1"}, ids(d))
	require.Empty(t, d.Routes[0].Backends)
	require.Equal(t, []string{"hello.example.com"}, d.Routes[0].Hosts)
	d = s.settle(t, allHealthy)
	require.Len(t, d.Routes[0].Backends, 2, "the worker is not routed")
	require.Equal(t, 1, s.Apps[0].Live)
}

func TestNext_OldInstanceServesUntilNewIsHealthy(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	s.deploy(map[octo.Name]int{"web": 1})

	d := s.next()
	require.ElementsMatch(t, []string{"hello.web.v1.1", "hello.web.v2.1"}, ids(d))
	require.Equal(t, octo.InstanceID("hello.web.v1.1"), d.Routes[0].Backends[0].Instance)
	s.step(allHealthy) // starting
	s.step(allHealthy) // healthy
	d = s.next()
	require.ElementsMatch(t, []string{"hello.web.v1.1 drain", "hello.web.v2.1"}, ids(d))
	require.Equal(t, []octo.Backend{{Instance: "hello.web.v2.1", Node: "n1"}}, d.Routes[0].Backends)
	require.Equal(t, 2, d.Routes[0].Release)
	require.Equal(t, 2, s.Apps[0].Live)
}

func TestNext_FailedReleaseFallsBack(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	n := s.deploy(map[octo.Name]int{"web": 1})
	d := s.settle(t, allFail)
	require.Equal(t, []string{"hello.web.v1.1"}, ids(d))
	require.Len(t, d.Routes[0].Backends, 1)
	require.Equal(t, octo.Failed, s.Releases[plan.Ref{App: "hello", Number: n}].Outcome)
	require.NotNil(t, s.Releases[plan.Ref{App: "hello", Number: n}].Failure)
	require.Equal(t, 1, s.Apps[0].Release)
}

func TestNext_FirstReleaseFailsToNothing(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	d := s.settle(t, allFail)
	require.Empty(t, ids(d))
	require.Zero(t, s.Apps[0].Release)
	require.Empty(t, d.Routes[0].Backends)
}

// An instance that ended once is started again at once. Only one that ends again and
// again makes its app one that has crashed.
func TestNext_CrashedIsWhoWaitsForItsNextStart(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	for phase, crashed := range map[octo.Phase]bool{
		octo.PhaseStarting: false, octo.PhaseUnhealthy: false, octo.PhaseFailed: true,
	} {
		in := &s.Have["n1"][0]
		in.Phase, in.Failure = phase, &octo.Failure{Kind: octo.FailedExit, Message: "it ended"}
		d := s.next()
		require.Empty(t, d.Routes[0].Backends, phase)
		require.Equal(t, crashed, d.Routes[0].Crashed, phase)
	}
}

func TestNext_OneFailingProcessKeepsTheOthersOnTheOldRelease(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1, "worker": 1})
	s.settle(t, allHealthy)
	s.deploy(map[octo.Name]int{"web": 1, "worker": 1})
	for range 4 {
		d := s.next()
		require.Equal(t, octo.InstanceID("hello.web.v1.1"), d.Routes[0].Backends[0].Instance)
		require.NotContains(t, ids(d), "hello.web.v1.1 drain")
		s.step(func(id octo.InstanceID) octo.Phase {
			if id == "hello.worker.v2.1" {
				return octo.PhaseFailed
			}
			return octo.PhaseHealthy
		})
	}
	require.ElementsMatch(t, []string{"hello.web.v1.1", "hello.worker.v1.1"}, ids(s.settle(t, allHealthy)))
}

func TestNext_OvertakenReleaseIsSuperseded(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	s.deploy(map[octo.Name]int{"web": 1})
	s.next()
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	require.Equal(t, octo.Superseded, s.Releases[plan.Ref{App: "hello", Number: 2}].Outcome)
	require.Equal(t, 3, s.Apps[0].Live)
}

func TestNext_DestroyedAppGoesAndLosesItsRoute(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 2})
	s.settle(t, allHealthy)
	s.Apps[0].Destroying = true
	d := s.next()
	require.ElementsMatch(t, []string{"hello.web.v1.1 drain", "hello.web.v1.2 drain"}, ids(d))
	require.Empty(t, d.Routes)
	require.Empty(t, ids(s.settle(t, allHealthy)))
}

func TestNext_NodeInDoubtChangesNothing(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1})
	s.settle(t, allHealthy)
	before := ids(plan.Next(s.World))
	delete(s.Have, "n1")
	require.Equal(t, before, ids(plan.Next(s.World)))
}

func TestNext_ScalesDownTheYoungest(t *testing.T) {
	s := newSim("n1")
	n := s.deploy(map[octo.Name]int{"web": 3})
	s.settle(t, allHealthy)
	s.Releases[plan.Ref{App: "hello", Number: n}].Processes[0].Count = 1
	require.Equal(t, []string{"hello.web.v1.1"}, ids(s.settle(t, allHealthy)))
}

// What visitors meet before an instance comes from the documents about names and from
// the app's own, whatever runs.
func TestNext_RoutesHaveTheirFront(t *testing.T) {
	s := newSim("n1")
	s.Apps = []octo.App{
		{Name: "hello", Owner: "ann", Edge: octo.Edge{Body: 1 << 20}, Maintenance: &octo.Maintenance{Message: "back soon"}},
		{Name: "other", Owner: "bob"},
		{Name: "shop", Owner: "bob"},
	}
	s.Domains = []octo.Domain{
		{Host: "*.example.org", App: "hello", Kind: octo.DomainServe},
		{Host: "example.org", App: "gone", Kind: octo.DomainServe},
		{Host: "other.example.com", App: "other", Kind: octo.DomainRedirect, Target: "www.other.example", Code: 308},
		{Host: "shop.example.com", App: "hello", Kind: octo.DomainServe},
		{Host: "www.other.example", App: "other", Kind: octo.DomainServe},
	}
	require.Equal(t, []octo.Route{
		{
			App: "hello", Hosts: []string{"hello.example.com", "*.example.org", "shop.example.com"},
			Edge: octo.Edge{Body: 1 << 20}, Maintenance: &octo.Maintenance{Message: "back soon"},
		},
		{
			App: "other", Hosts: []string{"other.example.com", "www.other.example"},
			Redirects: []octo.Redirect{{Host: "other.example.com", Target: "www.other.example", Code: 308}},
		},
		{App: "shop", Hosts: []string{}}, // its name was somebody's before the server had this domain
	}, s.next().Routes)
}

func TestNext_StoppedIsWhoNobodyWants(t *testing.T) {
	s := newSim("n1")
	s.deploy(map[octo.Name]int{"web": 1, "worker": 1})
	require.False(t, s.settle(t, allHealthy).Routes[0].Stopped)
	s.deploy(map[octo.Name]int{"web": 0, "worker": 1})
	require.True(t, s.settle(t, allHealthy).Routes[0].Stopped)
	s.deploy(map[octo.Name]int{"worker": 1})
	require.False(t, s.settle(t, allHealthy).Routes[0].Stopped, "it never had anybody to answer")
}

func TestNext_SpreadsOverNodesAndAvoidsCordoned(t *testing.T) {
	s := newSim("n1", "n2", "n3")
	s.Nodes[2].Cordoned = true
	s.deploy(map[octo.Name]int{"web": 4})
	d := s.next()
	require.Len(t, d.Want["n1"], 2)
	require.Len(t, d.Want["n2"], 2)
	require.Empty(t, d.Want["n3"])
}

// The invariants of the planner, under any history of deploys, deaths and phases.
func TestNext_Invariants(t *testing.T) {
	phases := []octo.Phase{octo.PhaseStarting, octo.PhaseHealthy, octo.PhaseUnhealthy, octo.PhaseFailed}
	rapid.Check(t, func(t *rapid.T) {
		s := newSim("n1", "n2")
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0:
				s.deploy(map[octo.Name]int{"web": rapid.IntRange(1, 4).Draw(t, "web"), "worker": rapid.IntRange(0, 2).Draw(t, "worker")})
			default:
				s.step(func(octo.InstanceID) octo.Phase { return rapid.SampledFrom(phases).Draw(t, "phase") })
			}
			if len(s.Apps) == 0 {
				continue
			}
			wanted := s.Apps[0].Release > 0 // else nothing was ever live: nothing is kept
			serving := healthyWeb(s)
			d := s.next()
			checkRoutes(t, s, d)
			checkUnique(t, d)
			if wanted && serving > 0 {
				require.NotEmpty(t, d.Routes[0].Backends, "an app with a healthy instance is served")
			}
		}
		if len(s.Apps) > 0 {
			d := s.settle(t, allHealthy)
			require.Equal(t, fmt.Sprint(d.Want), fmt.Sprint(plan.Next(s.World).Want), "same input, no further change")
		}
	})
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

func checkUnique(t require.TestingT, d plan.Documents) {
	seen := map[octo.InstanceID]bool{}
	for _, as := range d.Want {
		for _, a := range as {
			require.False(t, seen[a.Instance], "%s is assigned twice", a.Instance)
			seen[a.Instance] = true
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("apps=%d", n), func(b *testing.B) {
			s := newSim("n1")
			for i := range n {
				name := octo.Name(fmt.Sprintf("app-%d", i))
				s.Apps = append(s.Apps, octo.App{Name: name, Release: 1, Last: 1, Live: 1})
				s.Releases[plan.Ref{App: name, Number: 1}] = octo.Release{App: name, Number: 1, Outcome: octo.Live, Processes: []octo.Process{octo.NewProcess("web", 5000)}}
			}
			s.settle(b, allHealthy)
			b.ReportAllocs()
			for b.Loop() {
				plan.Next(s.World)
			}
		})
	}
}
