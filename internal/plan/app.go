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
		p.target = atMostOne(ix.world.Releases[Ref{app.Name, app.Release}])
	}
	slices.SortFunc(p.copies, func(a, b *copyOf) int { return cmp.Compare(a.Instance, b.Instance) })
	p.compare()
	return p
}

func (p *appPlan) run() {
	p.forgetGone()
	if p.app.Release > 0 && p.target.Number == 0 && !p.app.Destroying {
		return // the release's document is not here yet: change nothing
	}
	for _, proc := range p.target.Processes {
		if p.exclusive(proc) {
			p.exchange(proc)
		} else {
			p.scale(proc)
		}
	}
	p.retire()
	p.judge()
}

// forgetGone drops what was to go and is no longer reported.
func (p *appPlan) forgetGone() {
	p.copies = slices.DeleteFunc(p.copies, func(c *copyOf) bool { return c.Drain && c.known && !c.seen })
}

// of returns the copies of a process that are to stay: those that are current, and
// the others.
func (p *appPlan) of(process octo.Name) (current, old []*copyOf) {
	for _, c := range p.copies {
		switch {
		case c.Drain || c.Process != process:
		case p.current(c):
			current = append(current, c)
		default:
			old = append(old, c)
		}
	}
	return current, old
}

// current reports whether a copy is one of the target: made for it, or adopted. While
// the target rolls out only healthy copies are adopted: what it is made of works.
func (p *appPlan) current(c *copyOf) bool {
	if p.target.Number == 0 || c.Release == p.target.Number {
		return p.target.Number > 0
	}
	return c.adoptable && (p.settled() || c.healthy())
}

// settled reports whether the target has been live: then it is not judged any more.
func (p *appPlan) settled() bool { return p.target.Outcome == octo.Live }

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
		return cmp.Or(-cmp.Compare(a.Release, b.Release), -cmp.Compare(a.Instance.Ordinal(), b.Instance.Ordinal()))
	})
	return order[:len(cs)-want]
}

// add places one more copy of a process of the target, if any node takes it. It has an
// ordinal of its own among all that may be current together: people call it by that.
func (p *appPlan) add(process octo.Name) {
	siblings, used := map[string]int{}, map[int]bool{}
	for _, c := range p.copies {
		if c.Process != process {
			continue
		}
		if c.Release == p.target.Number || !c.Drain && c.adoptable {
			used[c.Instance.Ordinal()] = true
		}
		if !c.Drain {
			siblings[c.node]++
		}
	}
	node := p.ix.place(siblings)
	if node == "" {
		return
	}
	n := 1
	for used[n] {
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
		if !p.full(proc) {
			return false
		}
	}
	return p.target.Number > 0
}

// full reports whether every copy of a process that the target wants is healthy.
func (p *appPlan) full(proc octo.Process) bool {
	current, _ := p.of(proc.Name)
	return healthy(current) >= proc.Count
}

// retire lets copies go that are not needed: of the target, those that are too many,
// and older ones as healthy ones of the target take their place. Before the target is
// complete it may still fail, and nothing is taken away that would have to come back.
func (p *appPlan) retire() {
	ready, complete := p.ready(), p.complete()
	if complete || p.settled() {
		for _, proc := range p.target.Processes {
			current, _ := p.of(proc.Name)
			for _, c := range surplus(current, proc.Count) {
				c.Drain = true
			}
		}
	}
	kept := map[octo.Name]int{}
	for _, c := range p.copies {
		if c.Drain || p.current(c) {
			continue
		}
		proc, wanted := p.target.Process(c.Process)
		current, _ := p.of(c.Process)
		switch {
		case p.target.Number == 0 || complete:
			c.Drain = true
		case !c.healthy() && c.known && !c.returns:
			c.Drain = true // of no use: neither serving nor what we would go back to
		case ready && wanted && proc.Count > 0 && kept[c.Process] >= proc.Count-healthy(current):
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
	} else if p.settled() || p.complete() {
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

// route sends the app's hosts to its healthy web copies: to those of what was live,
// and to those made for the target once all of its processes are ready. When there are
// none, any that is healthy will do.
func (p *appPlan) route() octo.Route {
	r := octo.Route{App: p.app.Name, Release: p.app.Live}
	current, old := p.of(octo.Web)
	all := append(current, old...)
	ready := p.ready()
	if ready {
		r.Release = p.target.Number
	}
	r.Backends = routable(all, func(c *copyOf) bool { return c.returns || ready && p.current(c) })
	if len(r.Backends) == 0 {
		r.Backends = routable(current, anyCopy)
		if len(r.Backends) > 0 {
			r.Release = p.target.Number
		}
	}
	if len(r.Backends) == 0 {
		r.Backends = routable(old, anyCopy)
	}
	if len(r.Backends) == 0 {
		// One that ended once is started again at once: visitors wait for it.
		r.Crashed = slices.ContainsFunc(all, func(c *copyOf) bool { return c.seen && c.state.Phase == octo.PhaseFailed })
	}
	return r
}

func anyCopy(*copyOf) bool { return true }

// routable returns those of the copies that are healthy and fit, sorted.
func routable(cs []*copyOf, fits func(*copyOf) bool) []octo.Backend {
	var out []octo.Backend
	for _, c := range cs {
		if c.healthy() && fits(c) {
			out = append(out, octo.Backend{Instance: c.Instance, Node: c.node})
		}
	}
	slices.SortFunc(out, func(a, b octo.Backend) int { return cmp.Compare(a.Instance, b.Instance) })
	return out
}
