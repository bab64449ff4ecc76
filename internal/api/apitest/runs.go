package apitest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/octohost/octohost/internal/engine/enginetest/webapp"
	"github.com/octohost/octohost/internal/octo"
)

// run is a program of a World: one of the tools of package webapp, by its name; others
// print their words. Those that are detached have printed and ended at once, unless
// they sleep.
type run struct {
	octo.Run
	lines []octo.LogLine
}

// PutRun adds a run that goes on, and what it has printed.
func (w *World) PutRun(r octo.Run, lines ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.State, r.Started, r.Expires = octo.RunRunning, w.Now(), w.Now().Add(octo.DefaultTTL.Std())
	put := &run{Run: r}
	for _, text := range lines {
		put.lines = append(put.lines, octo.LogLine{Time: w.Now(), App: r.App, Process: "run", Instance: octo.InstanceID(r.Name), Text: text})
	}
	w.runs[r.App] = append(w.runs[r.App], put)
}

// Attach implements api.Runs.
func (w *World) Attach(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	r, err := w.newRun(who, app, p, true)
	if err != nil {
		return octo.Exit{}, err
	}
	if at.Began != nil {
		at.Began(r.Run)
	}
	code := runTool(ctx, p, at)
	w.endRun(r, code)
	if ctx.Err() != nil {
		return octo.Exit{}, ctx.Err()
	}
	return octo.Exit{Code: code}, nil
}

// newRun makes a run that is running.
func (w *World) newRun(who octo.Identity, app octo.Name, p octo.Program, attached bool) (*run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.releases[app]) == 0 {
		return nil, octo.Errorf(octo.ErrConflict, "%s has no release yet", app).WithHint("make one with: git push octo main")
	}
	if p.Command[0] == "nosuch" {
		return nil, octo.Errorf(octo.ErrInvalid, "the image of %s has no program %s", app, p.Command[0])
	}
	w.count[app]++
	ttl := p.TTL
	if ttl == 0 {
		ttl = octo.DefaultTTL
	}
	r := &run{Run: octo.Run{
		Name: fmt.Sprintf("run.%05d", w.count[app]), App: app, Release: w.apps[app].Live, Command: strings.Join(p.Command, " "),
		User: who.User, Attached: attached, State: octo.RunRunning, Started: w.Now(), Expires: w.Now().Add(ttl.Std()), Memory: p.Memory,
	}}
	w.runs[app] = append(w.runs[app], r)
	return r, nil
}

func (w *World) endRun(r *run, code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.State, r.ExitCode, r.Ended = octo.RunEnded, code, w.Now()
	if r.Attached {
		w.runs[r.App] = slices.DeleteFunc(w.runs[r.App], func(other *run) bool { return other == r })
	}
	w.wake()
}

// runTool runs a tool for somebody who is attached, and returns its exit code.
func runTool(ctx context.Context, p octo.Program, at octo.Attachment) int {
	ctx, cancel := context.WithCancel(ctx)
	var steering sync.WaitGroup
	defer steering.Wait()
	defer cancel()
	signals := make(chan os.Signal, 16)
	var mu sync.Mutex
	size := p.Window
	steering.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case ctl := <-at.Controls:
				if ctl.Window.Valid() {
					mu.Lock()
					size = ctl.Window
					mu.Unlock()
					signals <- syscall.SIGWINCH
				} else {
					signals <- map[octo.SignalName]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT}[ctl.Signal]
				}
			}
		}
	})
	process := webapp.Process{
		Getenv: func(name string) string { return lookup(p, name) },
		Stdin:  bytes.NewReader(nil), Stdout: at.Out, Stderr: at.Err, Signal: signals,
		Window: func() (int, int, bool) {
			mu.Lock()
			defer mu.Unlock()
			return size.Columns, size.Rows, p.Terminal
		},
	}
	if at.In != nil {
		defer at.In.Close() //nolint:errcheck // it was only read
		process.Stdin = at.In
		defer context.AfterFunc(ctx, func() { _ = at.In.Close() })()
	}
	name, args := p.Command[0], p.Command[1:]
	if !slices.Contains([]string{"exit", "sleep", "say", "complain", "cat", "env", "flood", "signals", "window"}, name) {
		name, args = "say", p.Command
	}
	return webapp.Tool(ctx, process, name, args)
}

func lookup(p octo.Program, name string) string {
	if name == "TERM" {
		return p.Term
	}
	for _, e := range slices.Backward(p.Env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// Enter implements api.Runs.
func (w *World) Enter(ctx context.Context, _ octo.Identity, app octo.Name, instance string, p octo.Program, at octo.Attachment) (octo.Exit, error) {
	w.mu.Lock()
	found := slices.ContainsFunc(w.instances[app], func(i octo.Instance) bool {
		return instance == "" || i.ShortName() == instance || string(i.Process) == instance
	})
	w.mu.Unlock()
	switch {
	case !found:
		return octo.Exit{}, octo.Errorf(octo.ErrNotFound, "%s has no instance %s that runs", app, instance).WithHint("see what runs with: octo ps -a %s", app)
	case len(p.Command) == 0 && app == "bare":
		return octo.Exit{Code: 127, Message: "there is no sh in the image of " + string(app), Hint: "name a program that it has: octo enter -a " + string(app) + " -- PROGRAM"}, nil
	}
	if len(p.Command) == 0 {
		p.Command = []string{"sh"}
	}
	if at.Began != nil {
		at.Began(octo.Run{App: app, Name: instance})
	}
	return octo.Exit{Code: runTool(ctx, p, at)}, nil
}

// Detach implements api.Runs.
func (w *World) Detach(ctx context.Context, who octo.Identity, app octo.Name, p octo.Program) (octo.Run, error) {
	r, err := w.newRun(who, app, p, false)
	if err != nil || p.Command[0] == "sleep" {
		return w.runOf(r), err
	}
	begun := r.Run
	var out bytes.Buffer
	code := runTool(ctx, p, octo.Attachment{Out: &out, Err: &out})
	w.mu.Lock()
	for line := range strings.Lines(out.String()) {
		r.lines = append(r.lines, octo.LogLine{Time: w.Now(), App: app, Process: "run", Instance: octo.InstanceID(r.Name), Text: strings.TrimSuffix(line, "\n")})
	}
	w.mu.Unlock()
	w.endRun(r, code)
	return begun, nil
}

func (w *World) runOf(r *run) octo.Run {
	if r == nil {
		return octo.Run{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return r.Run
}

// Runs implements api.Runs.
func (w *World) Runs(_ context.Context, app octo.Name) ([]octo.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []octo.Run
	for _, r := range w.runs[app] {
		out = append(out, r.Run)
	}
	return out, nil
}

// StopRun implements api.Runs.
func (w *World) StopRun(_ context.Context, _ octo.Identity, app octo.Name, name string) (octo.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.runs[app] {
		if r.Name == name {
			w.runs[app] = slices.Delete(w.runs[app], i, i+1)
			return r.Run, nil
		}
	}
	return octo.Run{}, noSuchRun(app, name)
}

func noSuchRun(app octo.Name, name string) error {
	return octo.Errorf(octo.ErrNotFound, "%s has no run %s", app, name).WithHint("list them with: octo run:list -a %s", app)
}

// RunLogs implements api.Runs.
func (w *World) RunLogs(ctx context.Context, app octo.Name, name string, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs[app] {
		if r.Name == name {
			return follow(ctx, w, q.Tail, q.Follow && r.State == octo.RunRunning, func() []octo.LogLine { return r.lines })
		}
	}
	return func(yield func(octo.LogLine, error) bool) { yield(octo.LogLine{}, noSuchRun(app, name)) }
}
