package platform

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Configuration keeps the versions of apps' environments.
type Configuration interface {
	Read(ctx context.Context, app octo.Name, n int) (octo.Config, error)
	Add(ctx context.Context, d octo.ConfigDraft) (int, error)
	List(ctx context.Context, app octo.Name) ([]octo.ConfigVersion, error)
	Remove(ctx context.Context, app octo.Name, n int) error
}

// AppConfig returns what a configuration of an app consists of, with values if they are
// to be seen.
func (p *Platform) AppConfig(ctx context.Context, name octo.Name, ref octo.ConfigRef, reveal bool) (octo.ConfigView, error) {
	app, err := p.app(ctx, name)
	if err != nil {
		return octo.ConfigView{}, err
	}
	n, values, err := p.configAt(ctx, app, ref)
	if err != nil {
		return octo.ConfigView{}, err
	}
	running, err := p.releaseConfig(ctx, app)
	if err != nil {
		return octo.ConfigView{}, err
	}
	return octo.ConfigView{Version: n, Staged: app.Release != 0 && n != running, Vars: values.View(reveal)}, nil
}

// configAt finds a configuration and its number.
func (p *Platform) configAt(ctx context.Context, app octo.App, ref octo.ConfigRef) (int, octo.Config, error) {
	n := app.Config
	switch {
	case ref.Release != 0:
		r, err := p.Release(ctx, app.Name, ref.Release)
		if err != nil {
			return 0, nil, err
		}
		n = r.Config
	case ref.Version != nil:
		n = *ref.Version
	}
	values, err := p.Configs.Read(ctx, app.Name, n)
	return n, values, err
}

// releaseConfig returns the configuration of the release that an app wants.
func (p *Platform) releaseConfig(ctx context.Context, app octo.App) (int, error) {
	if app.Release == 0 {
		return 0, nil
	}
	r, err := p.Release(ctx, app.Name, app.Release)
	return r.Config, err
}

// ConfigHistory returns the versions of an app's environment, newest first.
func (p *Platform) ConfigHistory(ctx context.Context, name octo.Name) ([]octo.ConfigVersion, error) {
	app, err := p.app(ctx, name)
	if err != nil {
		return nil, err
	}
	list, err := p.Configs.List(ctx, name)
	if err != nil {
		return nil, err
	}
	releases, err := p.Releases(ctx, name)
	if err != nil {
		return nil, err
	}
	used := map[int][]int{}
	for i := len(releases) - 1; i >= 0; i-- {
		used[releases[i].Config] = append(used[releases[i].Config], releases[i].Number)
	}
	out := make([]octo.ConfigVersion, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		v := list[i]
		v.Releases, v.Current = used[v.Number], v.Number == app.Config
		out = append(out, v)
	}
	return out, nil
}

// ConfigDiff returns how one configuration of an app differs from another, without
// values.
func (p *Platform) ConfigDiff(ctx context.Context, name octo.Name, from, to octo.ConfigRef) ([]octo.ConfigDiff, error) {
	app, err := p.app(ctx, name)
	if err != nil {
		return nil, err
	}
	_, old, err := p.configAt(ctx, app, from)
	if err != nil {
		return nil, err
	}
	_, now, err := p.configAt(ctx, app, to)
	if err != nil {
		return nil, err
	}
	return octo.DiffConfig(old, now, false), nil
}

// ChangeConfig changes an app's environment, and rolls it out unless it is staged.
// Progress goes to out. What was begun goes on when ctx ends.
func (p *Platform) ChangeConfig(ctx context.Context, who octo.Identity, name octo.Name, edit octo.ConfigEdit, out io.Writer) (octo.ConfigResult, error) {
	e := &configEdit{p: p, who: who, app: name, edit: edit}
	app, err := p.app(ctx, name)
	if err != nil {
		return octo.ConfigResult{}, err
	}
	description, err := e.describe(ctx, app)
	if err != nil {
		return octo.ConfigResult{}, err
	}
	err = p.Deployer.Change(ctx, octo.Change{App: name, Who: who, Description: description, Stage: edit.Stage, Edit: e.settings}, out)
	if err != nil {
		e.takeBack(context.WithoutCancel(ctx))
		return octo.ConfigResult{}, err
	}
	result := octo.ConfigResult{Version: app.Config, Set: e.change.Set, Unset: e.change.Unset}
	if e.made != 0 {
		result.Version = e.made
	}
	return result, nil
}

// configEdit is one change of an app's environment under way.
type configEdit struct {
	p    *Platform
	who  octo.Identity
	app  octo.Name
	edit octo.ConfigEdit

	change   octo.ConfigChange // what it does
	made, on int               // the version that was made, and that which it was made on
}

// settings is the Edit of the change. It is called again when somebody else has
// changed the app meanwhile.
func (e *configEdit) settings(ctx context.Context, app octo.App) (octo.Settings, error) {
	next := app.Settings.Clone()
	if app.Destroying {
		return next, octo.NoSuchApp(e.app)
	}
	if e.made != 0 && e.on == app.Config {
		next.Config = e.made
		return next, nil
	}
	e.takeBack(ctx)
	old, values, err := e.apply(ctx, app)
	if err != nil {
		return next, err
	}
	e.change = octo.ConfigChanges(old, values)
	if len(e.change.Set)+len(e.change.Unset) == 0 {
		return next, nil
	}
	n, err := e.p.Configs.Add(ctx, octo.ConfigDraft{App: e.app, Author: e.who.User, Description: e.change.String(), Values: values})
	if err != nil {
		return next, err
	}
	e.made, e.on, next.Config = n, app.Config, n
	return next, nil
}

// apply returns the environment of app, and what the edit makes of it.
func (e *configEdit) apply(ctx context.Context, app octo.App) (old, next octo.Config, err error) {
	if e.edit.Base != nil && *e.edit.Base != app.Config {
		return nil, nil, octo.Errorf(octo.ErrConflict, "somebody has changed the configuration of %s meanwhile: it is %s now, and not %s", e.app, octo.ConfigName(app.Config), octo.ConfigName(*e.edit.Base)).
			WithHint("see what with: octo config:diff %s -a %s", octo.ConfigName(*e.edit.Base), e.app)
	}
	if old, err = e.read(ctx, app.Config); err != nil {
		return nil, nil, err
	}
	next = e.edit.Apply(old)
	return old, next, next.Check()
}

// read returns a version's values; none, where all are replaced and it cannot be read.
func (e *configEdit) read(ctx context.Context, n int) (octo.Config, error) {
	values, err := e.p.Configs.Read(ctx, e.app, n)
	if err != nil && e.edit.Replace {
		return octo.Config{}, nil
	}
	return values, err
}

// describe says what the release of the change will bring: also what was staged
// before.
func (e *configEdit) describe(ctx context.Context, app octo.App) (string, error) {
	before, values, err := e.apply(ctx, app)
	if err != nil {
		return "", err
	}
	if !e.edit.Stage {
		running, err := e.p.releaseConfig(ctx, app)
		if err != nil {
			return "", err
		}
		if running != app.Config && app.Release != 0 {
			if before, err = e.read(ctx, running); err != nil {
				return "", err
			}
		}
	}
	if text := octo.ConfigChanges(before, values).String(); text != "" {
		return text, nil
	}
	return e.edit.Names().String(), nil
}

// takeBack removes the version that was made, if nothing has come of it. Where it
// cannot, the version is one that no release uses.
func (e *configEdit) takeBack(ctx context.Context) {
	if e.made == 0 {
		return
	}
	if used, err := e.used(ctx); err == nil && !used {
		if err := e.p.Configs.Remove(ctx, e.app, e.made); err != nil {
			e.p.Log.Warn("unused configuration cannot be removed", "app", e.app, "config", e.made, "err", err)
		}
	}
	e.made, e.on = 0, 0
}

// used reports whether the version that was made is the app's, or a release's.
func (e *configEdit) used(ctx context.Context) (bool, error) {
	app, err := e.p.apps().Get(ctx, string(e.app))
	if err != nil && !errors.Is(err, octo.ErrNotFound) {
		return false, fmt.Errorf("read app %s: %w", e.app, err)
	}
	releases, err := store.Docs[octo.Release]{Store: e.p.Store, Prefix: store.AppReleasesPrefix(e.app)}.All(ctx)
	if err != nil {
		return false, fmt.Errorf("list releases of %s: %w", e.app, err)
	}
	used := app.Value.Config == e.made
	for _, r := range releases {
		used = used || r.Value.Config == e.made
	}
	return used, nil
}
