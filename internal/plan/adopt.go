package plan

import (
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// compare finds out which copies of other releases are as good as those of the target,
// and which are what the app goes back to when the target fails.
func (p *appPlan) compare() {
	live := p.ix.world.Releases[Ref{p.app.Name, p.app.Live}]
	for _, c := range p.copies {
		c.adoptable = c.Release != p.target.Number && p.ix.adopts(&p.target, c)
		c.returns = c.Release == live.Number || c.adoptable && live.Number == p.target.Number || p.ix.adopts(&live, c)
	}
}

// adopts reports whether a copy of another release is as good as one of r: it runs the
// same code with the same settings. Only copies of a release that was live are: its
// node starts them again for ever, as it has to do with those of r.
func (ix *index) adopts(r *octo.Release, c *copyOf) bool {
	of, ok := ix.world.Releases[Ref{c.App, c.Release}]
	return ok && r.Number > 0 && of.Outcome == octo.Live && r.SameInstance(&of, c.Process)
}

// atMostOne returns r with no singleton wanted more than once, whoever wrote it.
func atMostOne(r octo.Release) octo.Release {
	many := func(p octo.Process) bool { return p.Singleton && p.Count > 1 }
	for i := slices.IndexFunc(r.Processes, many); i >= 0; i = slices.IndexFunc(r.Processes, many) {
		r.Processes = slices.Clone(r.Processes)
		r.Processes[i].Count = 1
	}
	return r
}

// exclusive reports whether no two copies of a process may run at once: because the
// target says so, or what a copy was made from.
func (p *appPlan) exclusive(proc octo.Process) bool {
	if proc.Singleton {
		return true
	}
	for _, c := range p.copies {
		if c.Process != proc.Name {
			continue
		}
		of := p.ix.world.Releases[Ref{c.App, c.Release}]
		if was, ok := of.Process(proc.Name); ok && was.Singleton {
			return true
		}
	}
	return false
}

// exchange replaces what there is of an exclusive process by copies of the target.
// While the target rolls out, that is last: what else may fail has not failed. The old
// copy has to be gone, with its container, before the new one is placed.
func (p *appPlan) exchange(proc octo.Process) {
	current, old := p.of(proc.Name)
	if proc.Count == 0 || len(current) >= proc.Count || !p.settled() && !p.othersFull() {
		return
	}
	for _, c := range old {
		c.Drain = true
	}
	if !p.present(proc) {
		p.scale(proc)
	}
}

// othersFull reports whether every copy of a process that need not wait is healthy.
func (p *appPlan) othersFull() bool {
	for _, proc := range p.target.Processes {
		if !p.exclusive(proc) && !p.full(proc) {
			return false
		}
	}
	return true
}

// present reports whether a copy of an exclusive process is in the way of another.
func (p *appPlan) present(proc octo.Process) bool {
	return slices.ContainsFunc(p.copies, func(c *copyOf) bool {
		return c.Process == proc.Name && (c.Drain || proc.Singleton || !p.current(c))
	})
}
