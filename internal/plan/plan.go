// Package plan decides, as a pure function of documents, what should run where,
// what should be routed, and how rollouts ended. It has no clock, no I/O and no
// goroutine: whoever leads applies its answer, and may die at any moment; the next
// run of the same function goes on from what is written.
package plan

import (
	"cmp"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// World is everything that the planner knows.
type World struct {
	Apps     []octo.App
	Releases map[Ref]octo.Release         // at least those from Live to Release of each app, and those in Want
	Nodes    []octo.Node                  // the nodes that are there
	Have     map[string][]octo.Instance   // what each node reports; a node without entry is in doubt
	Want     map[string][]octo.Assignment // what each node was told last
	Domain   string                       // apps answer on <app>.<Domain>
	Domains  []octo.Domain                // the other names of apps, sorted by host
}

// Ref names a release.
type Ref struct {
	App    octo.Name
	Number int
}

// Documents are the planner's answer.
type Documents struct {
	Want     map[string][]octo.Assignment // for every node of World.Want and World.Nodes, sorted
	Routes   []octo.Route                 // one per app, sorted by app
	Verdicts []Verdict
}

// Verdict says that the rollout of a release has ended. Writing it must be
// idempotent: it is repeated until the app's document shows it.
type Verdict struct {
	Ref
	Outcome octo.Outcome
	Failure *octo.Failure // for octo.Failed
}

// Next returns the documents that follow from w. Applying them and asking again
// leads to a state that no longer changes.
func Next(w World) Documents {
	ix := newIndex(w)
	docs := Documents{Want: map[string][]octo.Assignment{}}
	for _, n := range w.Nodes {
		docs.Want[n.Name] = nil
	}
	for node := range w.Want {
		docs.Want[node] = nil
	}
	for i := range w.Apps {
		p := newAppPlan(&w.Apps[i], ix)
		p.run()
		for _, c := range p.copies {
			docs.Want[c.node] = append(docs.Want[c.node], c.Assignment)
		}
		docs.Verdicts = append(docs.Verdicts, p.verdicts...)
		if !p.app.Destroying {
			docs.Routes = append(docs.Routes, p.front(p.route()))
		}
	}
	for _, as := range docs.Want {
		slices.SortFunc(as, func(a, b octo.Assignment) int { return cmp.Compare(a.Instance, b.Instance) })
	}
	slices.SortFunc(docs.Routes, func(a, b octo.Route) int { return cmp.Compare(a.App, b.App) })
	return docs
}

// copyOf is one assignment with the node it is on and what that node says of it.
type copyOf struct {
	octo.Assignment
	node  string
	state octo.Instance // zero (pending) when the node has not reported it
	known bool          // the node reports, so that absence means something
	seen  bool          // the node reported this instance

	adoptable bool // of another release, and as good as one of the target
	returns   bool // of what the app goes back to when the target fails
}

func (c *copyOf) healthy() bool { return c.seen && c.state.Phase == octo.PhaseHealthy }

// index finds things of the world by app.
type index struct {
	world  World
	copies map[octo.Name][]*copyOf
	load   map[string]*load
	names  map[octo.Name][]octo.Domain
}

// load is what is already placed on a node.
type load struct {
	node   octo.Node
	memory int64
	count  int
}

func newIndex(w World) *index {
	ix := &index{world: w, copies: map[octo.Name][]*copyOf{}, load: map[string]*load{}, names: make(map[octo.Name][]octo.Domain, len(w.Domains))}
	for _, d := range w.Domains {
		ix.names[d.App] = append(ix.names[d.App], d)
	}
	for _, n := range w.Nodes {
		ix.load[n.Name] = &load{node: n}
	}
	for node, as := range w.Want {
		reported, known := w.Have[node]
		state := make(map[octo.InstanceID]octo.Instance, len(reported))
		for _, inst := range reported {
			state[inst.ID] = inst
		}
		for _, a := range as {
			inst, seen := state[a.Instance]
			c := &copyOf{Assignment: a, node: node, state: inst, known: known, seen: seen}
			ix.copies[a.App] = append(ix.copies[a.App], c)
			ix.count(c)
		}
	}
	return ix
}

// count adds a copy to the load of its node.
func (ix *index) count(c *copyOf) {
	l := ix.load[c.node]
	if l == nil {
		return
	}
	l.count++
	r := ix.world.Releases[Ref{c.App, c.Release}]
	if p, ok := r.Process(c.Process); ok {
		l.memory += p.Memory
	}
}

// place chooses a node for one more copy: the one with the fewest siblings, then
// the one with most memory to spare (limits are caps, not reservations: more may
// be promised than there is), then the emptiest, then by name. It returns "" when
// no node takes anything new.
func (ix *index) place(siblings map[string]int) string {
	var best *load
	better := func(a, b *load) int {
		return cmp.Or(
			cmp.Compare(siblings[a.node.Name], siblings[b.node.Name]),
			-cmp.Compare(a.node.Memory-a.memory, b.node.Memory-b.memory),
			cmp.Compare(a.count, b.count),
			cmp.Compare(a.node.Name, b.node.Name),
		)
	}
	for _, l := range ix.load {
		if !l.node.Cordoned && (best == nil || better(l, best) < 0) {
			best = l
		}
	}
	if best == nil {
		return ""
	}
	return best.node.Name
}
