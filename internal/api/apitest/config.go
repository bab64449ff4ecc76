package apitest

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// configVersion is a version of an app's environment.
type configVersion struct {
	octo.ConfigVersion
	values octo.Config
}

// AppConfig implements api.Configuration.
func (w *World) AppConfig(_ context.Context, name octo.Name, ref octo.ConfigRef, reveal bool) (octo.ConfigView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, values, err := w.configAt(name, ref)
	if err != nil {
		return octo.ConfigView{}, err
	}
	app := w.apps[name]
	staged := app.Release != 0 && w.releases[name][app.Release-1].Config != n
	return octo.ConfigView{Version: n, Staged: staged, Vars: values.View(reveal)}, nil
}

// configAt finds a configuration; w is locked.
func (w *World) configAt(name octo.Name, ref octo.ConfigRef) (int, octo.Config, error) {
	n := w.apps[name].Config
	switch {
	case ref.Release > len(w.releases[name]):
		return 0, nil, noSuchRelease(name, ref.Release)
	case ref.Release > 0:
		n = w.releases[name][ref.Release-1].Config
	case ref.Version != nil:
		n = *ref.Version
	}
	switch {
	case n == 0:
		return 0, octo.Config{}, nil
	case n > len(w.configs[name]):
		return 0, nil, octo.Errorf(octo.ErrNotFound, "%s has no configuration %s", name, octo.ConfigName(n)).WithHint("list them with: octo config:history")
	}
	return n, w.configs[name][n-1].values, nil
}

// ConfigHistory implements api.Configuration.
func (w *World) ConfigHistory(_ context.Context, name octo.Name) ([]octo.ConfigVersion, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []octo.ConfigVersion
	for _, v := range slices.Backward(w.configs[name]) {
		v.Current = v.Number == w.apps[name].Config
		for _, r := range w.releases[name] {
			if r.Config == v.Number {
				v.Releases = append(v.Releases, r.Number)
			}
		}
		out = append(out, v.ConfigVersion)
	}
	return out, nil
}

// ConfigDiff implements api.Configuration.
func (w *World) ConfigDiff(_ context.Context, name octo.Name, from, to octo.ConfigRef) ([]octo.ConfigDiff, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, old, err := w.configAt(name, from)
	if err != nil {
		return nil, err
	}
	_, now, err := w.configAt(name, to)
	return octo.DiffConfig(old, now, false), err
}

// ChangeConfig implements api.Configuration.
func (w *World) ChangeConfig(_ context.Context, who octo.Identity, name octo.Name, edit octo.ConfigEdit, out io.Writer) (octo.ConfigResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	if edit.Base != nil && *edit.Base != app.Config {
		return octo.ConfigResult{}, octo.Errorf(octo.ErrConflict, "somebody has changed the configuration of %s meanwhile", name).WithHint("see what with: octo config:diff")
	}
	_, old, err := w.configAt(name, octo.ConfigRef{})
	if err != nil {
		return octo.ConfigResult{}, err
	}
	next := edit.Apply(old)
	if err := next.Check(); err != nil {
		return octo.ConfigResult{}, err
	}
	change := octo.ConfigChanges(old, next)
	if change.String() == "" {
		_, err := fmt.Fprintln(out, "Nothing to change")
		return octo.ConfigResult{Version: app.Config}, err
	}
	v := octo.ConfigVersion{Number: len(w.configs[name]) + 1, Author: who.User, Created: w.Now(), Description: change.String()}
	w.configs[name] = append(w.configs[name], configVersion{v, next})
	app.Config = v.Number
	if !edit.Stage && app.Release != 0 {
		w.release(name, octo.Release{Author: who.User, Description: change.String()})
	}
	_, err = fmt.Fprintln(out, change)
	return octo.ConfigResult{Version: v.Number, Set: change.Set, Unset: change.Unset}, err
}
