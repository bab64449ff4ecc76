package platform

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Apps returns the apps that who may see, in order of name.
func (p *Platform) Apps(ctx context.Context, who octo.Identity) ([]octo.AppStatus, error) {
	docs, err := p.apps().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	counts, err := p.counts(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := p.Hosts(ctx, "")
	if err != nil {
		return nil, err
	}
	list := make([]octo.AppStatus, 0, len(docs))
	for _, d := range docs {
		if octo.Allowed(who, octo.ActionAppRead, &d.Value) == nil {
			list = append(list, p.status(d.Value, counts[d.Value.Name]))
			list[len(list)-1].Domains = hosts[d.Value.Name]
		}
	}
	return list, nil
}

// App returns one app.
func (p *Platform) App(ctx context.Context, name octo.Name) (octo.AppStatus, error) {
	app, err := p.app(ctx, name)
	if err != nil {
		return octo.AppStatus{}, err
	}
	counts, err := p.counts(ctx)
	if err != nil {
		return octo.AppStatus{}, err
	}
	hosts, err := p.Hosts(ctx, name)
	s := p.status(app, counts[name])
	s.Domains = hosts[name]
	return s, err
}

// CreateApp makes an app that belongs to who.
func (p *Platform) CreateApp(ctx context.Context, who octo.Identity, name octo.Name) (octo.AppStatus, error) {
	if _, err := octo.ParseName(string(name)); err != nil {
		return octo.AppStatus{}, err
	}
	app := octo.App{Name: name, Owner: who.User, Created: now()}
	_, err := p.apps().Create(ctx, string(name), app)
	if errors.Is(err, octo.ErrConflict) {
		return octo.AppStatus{}, octo.Errorf(octo.ErrConflict, "the name %s is taken", name).WithHint("choose another name")
	}
	if err != nil {
		return octo.AppStatus{}, fmt.Errorf("write app %s: %w", name, err)
	}
	p.Record(octo.Event{Kind: octo.EventAppCreated, App: name, User: who.User, Message: "created"})
	return p.status(app, count{}), nil
}

// SetBranch makes branch the only one that deploys; empty means main or master.
func (p *Platform) SetBranch(ctx context.Context, who octo.Identity, name octo.Name, branch string) (octo.AppStatus, error) {
	_, err := p.apps().Update(ctx, string(name), func(a *octo.App) error {
		if a.Branch == branch {
			return store.ErrUnchanged
		}
		a.Branch = branch
		return nil
	})
	if errors.Is(err, octo.ErrNotFound) {
		return octo.AppStatus{}, octo.NoSuchApp(name)
	}
	if err != nil {
		return octo.AppStatus{}, fmt.Errorf("write app %s: %w", name, err)
	}
	message := "only " + branch + " deploys"
	if branch == "" {
		message = "main or master deploys"
	}
	p.Record(octo.Event{Kind: octo.EventAppChanged, App: name, User: who.User, Message: message})
	return p.App(ctx, name)
}

// DestroyApp marks an app as going, and returns when nothing of it is left. The mark
// is all that is needed: what follows goes on whoever dies.
func (p *Platform) DestroyApp(ctx context.Context, who octo.Identity, name octo.Name, out io.Writer) error {
	_, err := p.apps().Update(ctx, string(name), func(a *octo.App) error {
		if a.Destroying {
			return store.ErrUnchanged
		}
		a.Destroying = true
		return nil
	})
	if errors.Is(err, octo.ErrNotFound) {
		return octo.NoSuchApp(name)
	}
	if err != nil {
		return fmt.Errorf("write app %s: %w", name, err)
	}
	p.Log.Info("app is being destroyed", "app", name, "user", who.User)
	_, _ = fmt.Fprintf(out, "Destroying %s: waiting for requests in flight, then removing its containers, images and repository\n", name) // a reader that left does not stop it
	for docs, err := range p.apps().Watch(ctx) {
		if err != nil {
			continue // the watch goes on by itself
		}
		gone := true
		for _, d := range docs {
			gone = gone && d.Value.Name != name
		}
		if gone {
			return nil
		}
	}
	return octo.Errorf(octo.ErrUnavailable, "%s is being destroyed, but not yet gone", name).WithHint("see when with: octo apps")
}

// count is how many instances of an app there should be, and how many are well.
type count struct{ wanted, healthy int }

func (p *Platform) counts(ctx context.Context) (map[octo.Name]count, error) {
	wants, err := store.Docs[[]octo.Assignment]{Store: p.Store, Prefix: store.WantPrefix}.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list assignments: %w", err)
	}
	have, err := p.have().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	counts, stay := map[octo.Name]count{}, map[octo.InstanceID]bool{}
	for _, doc := range wants {
		for _, a := range doc.Value {
			if c := counts[a.App]; !a.Drain {
				c.wanted++
				counts[a.App] = c
				stay[a.Instance] = true
			}
		}
	}
	for _, doc := range have {
		for _, i := range doc.Value {
			if c := counts[i.App]; i.Phase == octo.PhaseHealthy && stay[i.ID] {
				c.healthy++
				counts[i.App] = c
			}
		}
	}
	return counts, nil
}

func (p *Platform) status(a octo.App, c count) octo.AppStatus {
	s := octo.AppStatus{App: a, URL: p.URL(a.Name), GitURL: p.GitURL(a.Name), Instances: c.wanted, Healthy: c.healthy}
	switch {
	case a.Destroying:
		s.State = octo.StateDestroying
	case a.Release == 0:
		s.State = octo.StateEmpty
	case a.Release != a.Live:
		s.State = octo.StateDeploying
	case c.healthy == 0:
		s.State = octo.StateDown
	case c.healthy < c.wanted:
		s.State = octo.StateDegraded
	default:
		s.State = octo.StateUp
	}
	return s
}
