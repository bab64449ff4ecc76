package plan_test

import (
	"fmt"
	"testing"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
	"github.com/stretchr/testify/require"
)

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

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("apps=%d", n), func(b *testing.B) { benchmarkNext(b, n, false) })
	}
	b.Run("apps=1000/adopted", func(b *testing.B) { benchmarkNext(b, 1_000, true) })
}

// benchmarkNext plans for n apps at rest, whose copies were perhaps made for an earlier
// release.
func benchmarkNext(b *testing.B, n int, adopted bool) {
	s := newSim("n1")
	for i := range n {
		name := octo.Name(fmt.Sprintf("app-%d", i))
		s.Apps = append(s.Apps, octo.App{Name: name, Release: 1, Last: 1, Live: 1})
		s.Releases[plan.Ref{App: name, Number: 1}] = octo.Release{App: name, Number: 1, Outcome: octo.Live, Processes: []octo.Process{octo.NewProcess("web", 5000)}}
	}
	s.settle(b, allHealthy)
	for i := range s.Apps {
		if a := &s.Apps[i]; adopted {
			a.Release, a.Live = 2, 2
			r := s.Releases[plan.Ref{App: a.Name, Number: 1}]
			r.Number = 2
			s.Releases[plan.Ref{App: a.Name, Number: 2}] = r
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		plan.Next(s.World)
	}
}
