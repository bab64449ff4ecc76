package plan

import (
	"cmp"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// appPlan works out one app.
type appPlan struct {
	app      *octo.App
	ix       *index
	copies   []*copyOf
	target   octo.Release // what should run; the zero value means nothing
	verdicts []Verdict
}

func newAppPlan(app *octo.App, ix *index) *appPlan {
	p := &appPlan{app: app, ix: ix, copies: ix.copies[app.Name]}
	if !app.Destroying && app.Release > 0 {
		p.target = ix.world.Releases[Ref{app.Name, app.Release}]
	}
	slices.SortFunc(p.copies, func(a, b *copyOf) int { return cmp.Compare(a.Instance, b.Instance) })
	return p
}

func (p *appPlan) run() {
	p.forgetGone()
	if p.app.Release > 0 && p.target.Number == 0 && !p.app.Destroying {
		return // the release's document is not here yet: change nothing
	}
	for _, proc := range p.target.Processes {
		p.scale(proc)
	}
	p.retire()
	p.judge()
}

// forgetGone drops what was to go and is no longer reported.
func (p *appPlan) forgetGone() {
	p.copies = slices.DeleteFunc(p.copies, func(c *copyOf) bool { return c.Drain && c.known && !c.seen })
}

// of returns the copies of a process that are to stay: those of the target, and
// those of other releases.
func (p *appPlan) of(process octo.Name) (current, old []*copyOf) {
	for _, c := range p.copies {
		switch {
		case c.Drain || c.Process != process:
		case c.Release == p.target.Number:
			current = append(current, c)
		default:
			old = append(old, c)
		}
	}
	return current, old
}

func healthy(cs []*copyOf) int {
	n := 0
	for _, c := range cs {
		if c.healthy() {
			n++
		}
	}
	return n
}

// scale gives a process of the target as many copies as it wants. While older
// ones still serve, only a few start at a time.
func (p *appPlan) scale(proc octo.Process) {
	current, old := p.of(proc.Name)
	for _, c := range surplus(current, proc.Count) {
		c.Drain = true
	}
	missing := proc.Count - len(current)
	if len(old) > 0 {
		surge := max(1, proc.Count/4)
		missing = min(missing, surge-(len(current)-healthy(current)))
	}
	for range max(0, missing) {
		p.add(proc.Name)
	}
}

// surplus returns which copies to give up so that want remain: first those that
// are not healthy, then the youngest.
func surplus(cs []*copyOf, want int) []*copyOf {
	if len(cs) <= want {
		return nil
	}
	order := slices.Clone(cs)
	slices.SortStableFunc(order, func(a, b *copyOf) int {
		if a.healthy() != b.healthy() {
			if a.healthy() {
				return 1
			}
			return -1
		}
		return -cmp.Compare(a.Instance, b.Instance)
	})
	return order[:len(cs)-want]
}

// add places one more copy of a process of the target, if any node takes it.
func (p *appPlan) add(process octo.Name) {
	siblings, used := map[string]int{}, map[octo.InstanceID]bool{}
	for _, c := range p.copies {
		used[c.Instance] = true
		if c.Process == process && !c.Drain {
			siblings[c.node]++
		}
	}
	node := p.ix.place(siblings)
	if node == "" {
		return
	}
	n := 1
	for used[octo.NewInstanceID(p.app.Name, process, p.target.Number, n)] {
		n++
	}
	c := &copyOf{node: node, Assignment: octo.Assignment{
		Instance: octo.NewInstanceID(p.app.Name, process, p.target.Number, n),
		App:      p.app.Name, Release: p.target.Number, Process: process,
	}}
	p.copies = append(p.copies, c)
	p.ix.count(c)
}

// ready reports whether every process of the target has a healthy copy: from then
// on it receives requests and takes the place of what was there.
func (p *appPlan) ready() bool {
	for _, proc := range p.target.Processes {
		current, _ := p.of(proc.Name)
		if proc.Count > 0 && healthy(current) == 0 {
			return false
		}
	}
	return p.target.Number > 0
}

// complete reports whether every copy that the target wants is healthy.
func (p *appPlan) complete() bool {
	for _, proc := range p.target.Processes {
		current, _ := p.of(proc.Name)
		if healthy(current) < proc.Count {
			return false
		}
	}
	return p.target.Number > 0
}

// retire lets older copies go as healthy ones of the target take their place.
func (p *appPlan) retire() {
	ready, complete := p.ready(), p.complete()
	kept := map[octo.Name]int{}
	for _, c := range p.copies {
		if c.Drain || (p.target.Number > 0 && c.Release == p.target.Number) {
			continue
		}
		proc, wanted := p.target.Process(c.Process)
		current, _ := p.of(c.Process)
		switch {
		case p.target.Number == 0 || complete:
			c.Drain = true
		case !c.healthy() && c.known && c.Release != p.app.Live:
			c.Drain = true // of no use: neither serving nor what we would go back to
		case ready && wanted && kept[c.Process] >= proc.Count-healthy(current):
			c.Drain = true
		default:
			kept[c.Process]++
		}
	}
}

// judge says how the rollout of the target, and of those it overtook, ended.
func (p *appPlan) judge() {
	for n := p.app.Live + 1; n < p.app.Release; n++ {
		if r, ok := p.ix.world.Releases[Ref{p.app.Name, n}]; ok && r.Outcome == octo.Pending {
			p.verdict(n, octo.Superseded, nil)
		}
	}
	if p.target.Number == 0 || p.app.Live == p.target.Number {
		return
	}
	if failure, failed := p.failure(); failed {
		p.verdict(p.target.Number, octo.Failed, failure)
	} else if p.target.Outcome == octo.Live || p.complete() {
		p.verdict(p.target.Number, octo.Live, nil)
	}
}

// failure returns why the target cannot become live, if so. A target that was
// live once (the app goes back to it) is not judged again.
func (p *appPlan) failure() (*octo.Failure, bool) {
	switch p.target.Outcome {
	case octo.Failed, octo.Superseded:
		return p.target.Failure, true
	case octo.Live:
		return nil, false
	}
	for _, c := range p.copies {
		if c.Release == p.target.Number && c.seen && c.state.Phase == octo.PhaseFailed {
			return c.state.Failure, true
		}
	}
	return nil, false
}

func (p *appPlan) verdict(n int, o octo.Outcome, f *octo.Failure) {
	p.verdicts = append(p.verdicts, Verdict{Ref: Ref{p.app.Name, n}, Outcome: o, Failure: f})
}

// route sends the app's hosts to its healthy web copies. Those of the target take
// part once all of its processes are ready, or when no other copy is healthy.
func (p *appPlan) route() octo.Route {
	r := octo.Route{App: p.app.Name, Release: p.app.Live}
	current, old := p.of(octo.Web)
	serving := routable(old)
	if next := routable(current); len(next) > 0 && (len(serving) == 0 || p.ready()) {
		serving = append(serving, next...)
		r.Release = p.target.Number
	}
	slices.SortFunc(serving, func(a, b octo.Backend) int { return cmp.Compare(a.Instance, b.Instance) })
	r.Backends = serving
	if len(serving) == 0 {
		// One that ended once is started again at once: visitors wait for it.
		r.Crashed = slices.ContainsFunc(append(current, old...), func(c *copyOf) bool { return c.seen && c.state.Phase == octo.PhaseFailed })
	}
	return r
}

func routable(cs []*copyOf) []octo.Backend {
	var out []octo.Backend
	for _, c := range cs {
		if c.healthy() {
			out = append(out, octo.Backend{Instance: c.Instance, Node: c.node})
		}
	}
	return out
}
