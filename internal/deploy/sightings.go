package deploy

import (
	"cmp"
	"context"
	"slices"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// sightings remembers what was told of each instance of a rollout.
type sightings map[octo.InstanceID]octo.Phase

// tell prints what is new about the instances of a release.
func (s sightings) tell(p *printer, r octo.Release, instances []octo.Instance) {
	for _, i := range instances {
		last, seen := s[i.ID]
		if i.App != r.App || seen && last == i.Phase {
			continue
		}
		if i.Release != r.Number {
			s.making(p, r, i)
			continue
		}
		s[i.ID] = i.Phase
		switch i.Phase {
		case octo.PhaseStarting:
			s.starting(p, r, i)
		case octo.PhaseHealthy:
			p.detail("%s is healthy%s", i.ShortName(), note(i.Note))
		case octo.PhaseUnhealthy:
			p.detail("%s is unhealthy", i.ShortName())
		}
	}
}

// making tells of an instance of another release that makes room for one of r.
func (s sightings) making(p *printer, r octo.Release, i octo.Instance) {
	proc, ok := r.Process(i.Process)
	if ok && proc.Singleton && i.Phase == octo.PhaseDraining {
		s[i.ID] = i.Phase
		p.detail("Stopping %s of %s: there may be only one", i.ShortName(), octo.Version(i.Release))
	}
}

func (s sightings) starting(p *printer, r octo.Release, i octo.Instance) {
	if proc, ok := r.Process(i.Process); ok && proc.Port > 0 {
		p.detail("Starting %s, waiting for port %d", i.ShortName(), proc.Port)
		return
	}
	p.detail("Starting %s", i.ShortName())
}

func note(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// tellKept prints which instances of earlier releases stay, being as good as those of r,
// and which go because fewer are wanted. What cannot be read goes without saying.
func (d *Deployer) tellKept(ctx context.Context, p *printer, r octo.Release) {
	for _, proc := range r.Processes {
		for n, i := range d.kept(ctx, r, proc.Name) {
			if n < proc.Count {
				p.detail("%s stays", i.ShortName())
			} else {
				p.detail("%s goes", i.ShortName())
			}
		}
	}
}

// stood reports whether an instance was healthy when r was made. The leader may have been
// faster than this look.
func stood(i octo.Instance, r octo.Release) bool {
	return i.Phase == octo.PhaseHealthy || i.Phase == octo.PhaseDraining && !i.Since.Before(r.Created)
}

// kept returns the instances of a process that need not be replaced, oldest first.
func (d *Deployer) kept(ctx context.Context, r octo.Release, process octo.Name) []octo.Instance {
	nodes, err := store.Docs[[]octo.Instance]{Store: d.Store, Prefix: store.HavePrefix}.All(ctx)
	if err != nil {
		return nil
	}
	same := map[int]bool{}
	var kept []octo.Instance
	for _, node := range nodes {
		for _, i := range node.Value {
			if i.App != r.App || i.Process != process || i.Release == r.Number || !stood(i, r) {
				continue
			}
			if _, asked := same[i.Release]; !asked {
				of, err := d.releases().Get(ctx, store.ReleaseName(i.App, i.Release))
				same[i.Release] = err == nil && of.Value.Outcome == octo.Live && r.SameInstance(&of.Value, process)
			}
			if same[i.Release] {
				kept = append(kept, i)
			}
		}
	}
	slices.SortFunc(kept, func(a, b octo.Instance) int {
		return cmp.Or(cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID.Ordinal(), b.ID.Ordinal()))
	})
	return kept
}
