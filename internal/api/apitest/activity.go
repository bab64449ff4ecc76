package apitest

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Print lets an app's web instance print a line.
func (w *World) Print(name octo.Name, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := octo.NewInstanceID(name, octo.Web, w.apps[name].Release, 1)
	w.lines[name] = append(w.lines[name], octo.LogLine{Time: w.Now(), App: name, Source: octo.LogApp, Process: octo.Web, Instance: id, Text: text})
	w.wake()
}

// Say adds a line to the log of an app.
func (w *World) Say(line octo.LogLine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line.Time = w.Now()
	w.lines[line.App] = append(w.lines[line.App], line)
	w.wake()
}

// SetInstances replaces what runs of an app.
func (w *World) SetInstances(name octo.Name, list ...octo.Instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances[name] = list
}

// Followers returns how many streams are open that wait for more.
func (w *World) Followers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.followers
}

// Instances implements api.Activity.
func (w *World) Instances(_ context.Context, who octo.Identity, name octo.Name) ([]octo.Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "" {
		return slices.Clone(w.instances[name]), nil
	}
	var out []octo.Instance
	for app, list := range w.instances {
		if octo.Allowed(who, octo.ActionAppRead, w.apps[app]) == nil {
			out = append(out, list...)
		}
	}
	slices.SortFunc(out, func(a, b octo.Instance) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

// Logs implements api.Activity.
func (w *World) Logs(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	return follow(ctx, w, q.Tail, q.Follow, func() []octo.LogLine {
		return slices.DeleteFunc(slices.Clone(w.lines[app]), func(l octo.LogLine) bool { return !q.Selects(&l) })
	})
}

// Events implements api.Activity.
func (w *World) Events(ctx context.Context, who octo.Identity, q octo.EventQuery) iter.Seq2[octo.Event, error] {
	return follow(ctx, w, q.Tail, q.Follow, func() []octo.Event {
		return slices.DeleteFunc(slices.Clone(w.events), func(e octo.Event) bool {
			mine := who.Admin || e.User == who.User
			return !mine || e.Time.Before(q.Since) || (q.App != "" && e.App != q.App)
		})
	})
}

// follow yields the last elements of list, and then, if more is set, what is added
// to it, until ctx ends. The list only grows; it is called with w locked.
func follow[T any](ctx context.Context, w *World, tail int, more bool, list func() []T) iter.Seq2[T, error] {
	if tail == 0 {
		tail = 100
	}
	return func(yield func(T, error) bool) {
		w.mu.Lock()
		all, changed := list(), w.changed
		w.followers++
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			w.followers--
			w.mu.Unlock()
		}()
		seen := max(0, len(all)-tail)
		for {
			for ; seen < len(all); seen++ {
				if !yield(all[seen], nil) {
					return
				}
			}
			if !more {
				return
			}
			select {
			case <-ctx.Done():
				var zero T
				yield(zero, ctx.Err())
				return
			case <-changed:
			}
			w.mu.Lock()
			all, changed = list(), w.changed
			w.mu.Unlock()
		}
	}
}
