package apitest

import (
	"context"
	"fmt"
	"io"

	"github.com/octohost/octohost/internal/octo"
)

// declared is what the code of every app says of its processes.
func declared() []octo.Process {
	worker := octo.NewProcess("worker", 0)
	worker.Count, worker.Command = 0, []string{"./worker"}
	return []octo.Process{octo.NewProcess(octo.Web, octo.DefaultPort), worker}
}

// Processes implements api.Processes.
func (w *World) Processes(_ context.Context, name octo.Name) ([]octo.ProcessStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	if app.Release == 0 {
		return nil, nil
	}
	return w.releases[name][app.Release-1].Statuses(w.instances[name]), nil
}

// ChangeFormation implements api.Processes.
func (w *World) ChangeFormation(_ context.Context, who octo.Identity, name octo.Name, edit octo.FormationEdit, out io.Writer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	settings, err := edit.Apply(name, app.Settings, declared())
	if err != nil {
		return err
	}
	if settings.Equal(app.Settings) {
		_, err := fmt.Fprintln(out, "Nothing to change")
		return err
	}
	app.Settings = settings
	if app.Release != 0 {
		w.release(name, octo.Release{Author: who.User, Description: edit.String()})
	}
	_, err = fmt.Fprintln(out, edit)
	return err
}

// DiffReleases implements api.Releases.
func (w *World) DiffReleases(_ context.Context, app octo.Name, from, to int) (octo.ReleaseDiff, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range []int{from, to} {
		if n > len(w.releases[app]) {
			return octo.ReleaseDiff{}, noSuchRelease(app, n)
		}
	}
	a, b := w.releases[app][from-1], w.releases[app][to-1]
	diff := octo.ReleaseDiff{From: from, To: to, Settings: octo.DiffReleases(&a, &b), Added: []octo.Commit{}, Removed: []octo.Commit{}}
	if a.Commit != b.Commit {
		diff.Added = append(diff.Added, octo.Commit{ID: b.Commit, Author: b.Author, Time: b.Created, Subject: "Change the world"})
	}
	_, old, err := w.configAt(app, octo.ConfigRef{Release: from})
	if err != nil {
		return diff, err
	}
	_, now, err := w.configAt(app, octo.ConfigRef{Release: to})
	diff.Config = octo.DiffConfig(old, now, false)
	return diff, err
}
