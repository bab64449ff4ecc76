package platform

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Processes returns the processes of an app's current release; none where it has none.
func (p *Platform) Processes(ctx context.Context, name octo.Name) ([]octo.ProcessStatus, error) {
	app, err := p.app(ctx, name)
	if err != nil || app.Release == 0 {
		return nil, err
	}
	r, err := p.Release(ctx, name, app.Release)
	if err != nil {
		return nil, err
	}
	staying, err := p.staying(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.Statuses(staying), nil
}

// staying returns the instances of an app that are not told to go.
func (p *Platform) staying(ctx context.Context, name octo.Name) ([]octo.Instance, error) {
	have, err := p.have().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var list []octo.Instance
	for _, doc := range have {
		for _, i := range doc.Value {
			if i.App == name && i.Phase != octo.PhaseDraining && i.Phase != octo.PhaseGone {
				list = append(list, i)
			}
		}
	}
	return list, nil
}

// ChangeFormation changes what runs of an app, and follows the rollout until it has
// ended. Progress goes to out. What was begun goes on when ctx ends.
func (p *Platform) ChangeFormation(ctx context.Context, who octo.Identity, name octo.Name, edit octo.FormationEdit, out io.Writer) error {
	change := octo.Change{App: name, Who: who, Description: edit.String()}
	change.Edit = func(ctx context.Context, app octo.App) (octo.Settings, error) {
		declared, err := p.declared(ctx, app)
		if err != nil {
			return app.Settings, err
		}
		return edit.Apply(name, app.Settings, declared)
	}
	return p.Deployer.Change(ctx, change, out)
}

// declared returns what the code of an app says of its processes: that of the current
// release, else of the last one that was tried. Before there is any, web is all that is
// known.
func (p *Platform) declared(ctx context.Context, app octo.App) ([]octo.Process, error) {
	n := app.Release
	if n == 0 {
		n = app.Last
	}
	docs := store.Docs[octo.Release]{Store: p.Store, Prefix: store.ReleasesPrefix}
	doc, err := docs.Get(ctx, store.ReleaseName(app.Name, n))
	switch {
	case errors.Is(err, octo.ErrNotFound):
		return []octo.Process{octo.NewProcess(octo.Web, octo.DefaultPort)}, nil
	case err != nil:
		return nil, fmt.Errorf("read release: %w", err)
	case doc.Value.Declared == nil:
		return doc.Value.Processes, nil
	}
	return doc.Value.Declared, nil
}

// DiffReleases returns how release to of an app differs from release from.
func (p *Platform) DiffReleases(ctx context.Context, app octo.Name, from, to int) (octo.ReleaseDiff, error) {
	diff := octo.ReleaseDiff{From: from, To: to, Added: []octo.Commit{}, Removed: []octo.Commit{}, Config: []octo.ConfigDiff{}}
	a, err := p.Release(ctx, app, from)
	if err != nil {
		return diff, err
	}
	b, err := p.Release(ctx, app, to)
	if err != nil {
		return diff, err
	}
	diff.Settings = octo.DiffReleases(&a, &b)
	if a.Config != b.Config {
		if diff.Config, err = p.ConfigDiff(ctx, app, octo.ConfigRef{Release: from}, octo.ConfigRef{Release: to}); err != nil {
			return diff, err
		}
	}
	if a.Commit == "" || b.Commit == "" || a.Commit == b.Commit {
		return diff, nil
	}
	var more, less bool
	if diff.Added, more, err = p.Commits(ctx, app, a.Commit, b.Commit); err != nil {
		return diff, err
	}
	diff.Removed, less, err = p.Commits(ctx, app, b.Commit, a.Commit)
	diff.More = more || less
	return diff, err
}
