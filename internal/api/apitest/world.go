// Package apitest is a small octohost in memory: it implements what internal/api
// asks for, with behaviour, for the tests of that package and of the CLI.
package apitest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// World is an octohost without machines. Releases go live at once, and what
// happens is an event.
type World struct {
	// Now is the clock; it may be replaced before use.
	Now       func() time.Time
	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at every change
	apps      map[octo.Name]*octo.App
	releases  map[octo.Name][]octo.Release // oldest first
	instances map[octo.Name][]octo.Instance
	lines     map[octo.Name][]octo.LogLine
	configs   map[octo.Name][]configVersion // oldest first
	runs      map[octo.Name][]*run          // oldest first
	domains   []octo.Domain
	count     map[octo.Name]int // of all runs that there were
	keys      []octo.Key
	events    []octo.Event
	audits    []octo.Audit
	garbage   []octo.Garbage
	findings  []octo.Finding
	followers int
}

// New returns an empty World.
func New() *World {
	return &World{
		Now:       time.Now,
		changed:   make(chan struct{}),
		apps:      map[octo.Name]*octo.App{},
		releases:  map[octo.Name][]octo.Release{},
		instances: map[octo.Name][]octo.Instance{},
		lines:     map[octo.Name][]octo.LogLine{},
		configs:   map[octo.Name][]configVersion{},
		runs:      map[octo.Name][]*run{},
		count:     map[octo.Name]int{},
	}
}

// Config returns an API configuration over w, in which octo.Allowed decides.
func (w *World) Config() api.Config {
	return api.Config{
		Apps: w, Releases: w, Keys: w, Access: w, Activity: w, Runs: w, Processes: w, Configuration: w, Domains: w, Edge: w,
		Authorize: w.authorize, Trail: w, Audit: w.Audit, Collect: w.Collect,
		Doctor:  func(context.Context) []octo.Finding { return w.Findings() },
		Version: "v1.2.3",
	}
}

// Find adds to what the doctor finds.
func (w *World) Find(findings ...octo.Finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.findings = append(w.findings, findings...)
}

// Findings returns what the doctor finds.
func (w *World) Findings() []octo.Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.findings)
}

func (w *World) authorize(_ context.Context, who octo.Identity, what octo.Action, name octo.Name) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	if err := octo.Allowed(who, what, app); err != nil && (name == "" || app != nil) {
		return err
	}
	if name != "" && app == nil {
		return octo.NoSuchApp(name)
	}
	return nil
}

// happen notes an event and wakes the followers; w is locked.
func (w *World) happen(e octo.Event) {
	e.ID, e.Time = fmt.Sprintf("%08d", len(w.events)+1), w.Now()
	w.events = append(w.events, e)
	w.wake()
}

func (w *World) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Apps implements api.Apps.
func (w *World) Apps(_ context.Context, who octo.Identity) ([]octo.AppStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []octo.AppStatus
	for _, app := range w.apps {
		if octo.Allowed(who, octo.ActionAppRead, app) == nil {
			out = append(out, w.status(app))
		}
	}
	slices.SortFunc(out, func(a, b octo.AppStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (w *World) status(app *octo.App) octo.AppStatus {
	st := octo.AppStatus{
		App: *app, State: octo.StateEmpty,
		URL:    fmt.Sprintf("http://%s.example.test", app.Name),
		GitURL: fmt.Sprintf("ssh://octo@example.test:2222/%s", app.Name),
	}
	for _, d := range w.domains {
		if d.App == app.Name && d.Kind == octo.DomainServe {
			st.Domains = append(st.Domains, d.Host)
		}
	}
	for _, in := range w.instances[app.Name] {
		st.Instances++
		st.State = octo.StateUp
		if in.Phase == octo.PhaseHealthy {
			st.Healthy++
		}
	}
	if st.Healthy < st.Instances {
		st.State = octo.StateDegraded
	}
	return st
}

// App implements api.Apps.
func (w *World) App(_ context.Context, name octo.Name) (octo.AppStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app, ok := w.apps[name]
	if !ok {
		return octo.AppStatus{}, octo.NoSuchApp(name)
	}
	return w.status(app), nil
}

// CreateApp implements api.Apps.
func (w *World) CreateApp(_ context.Context, who octo.Identity, name octo.Name) (octo.AppStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, taken := w.apps[name]; taken {
		return octo.AppStatus{}, octo.Errorf(octo.ErrConflict, "the name %s is taken", name).WithHint("choose another one")
	}
	app := &octo.App{Name: name, Owner: who.User, Created: w.Now()}
	w.apps[name] = app
	w.happen(octo.Event{Kind: octo.EventAppCreated, App: name, User: who.User, Message: "created " + string(name)})
	return w.status(app), nil
}

// SetBranch implements api.Apps.
func (w *World) SetBranch(_ context.Context, _ octo.Identity, name octo.Name, branch string) (octo.AppStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	if app == nil {
		return octo.AppStatus{}, octo.NoSuchApp(name)
	}
	app.Branch = branch
	return w.status(app), nil
}

// DestroyApp implements api.Apps.
func (w *World) DestroyApp(_ context.Context, who octo.Identity, name octo.Name, out io.Writer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.apps[name] == nil {
		return octo.NoSuchApp(name)
	}
	if _, err := fmt.Fprintf(out, "stopping %d instances\n", len(w.instances[name])); err != nil {
		return err
	}
	delete(w.apps, name)
	delete(w.releases, name)
	delete(w.instances, name)
	delete(w.lines, name)
	w.happen(octo.Event{Kind: octo.EventAppDestroyed, App: name, User: who.User, Message: "destroyed " + string(name)})
	_, err := fmt.Fprintln(out, "removing image, repository and logs")
	return err
}
