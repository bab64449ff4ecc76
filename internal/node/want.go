package node

import (
	"encoding/json"
	"fmt"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// followWant tells the loop what is wanted of this node, first and after changes.
func (l *loop) followWant() {
	for l.ctx.Err() == nil {
		l.watchWant()
		l.pause(retryEvery)
	}
}

// watchWant follows one watch. What cannot be read leaves things as they are.
func (l *loop) watchWant() {
	last := store.Any // no version that a document has
	for entries, err := range l.cfg.Store.Watch(l.ctx, store.WantPrefix) {
		if err != nil {
			l.complain("watch of assignments interrupted", err)
			continue
		}
		e := ownEntry(entries, store.WantPrefix+l.cfg.Name)
		if e.Version == last {
			continue // a change of another node's
		}
		want, err := decodeWant(e)
		if err != nil {
			l.complain("assignments cannot be read", err)
			continue
		}
		last = e.Version
		l.post(func() { l.wanted(want) })
	}
}

func (l *loop) complain(message string, err error) {
	if l.ctx.Err() == nil {
		l.log.Warn(message, "err", err)
	}
}

// ownEntry returns the entry of exactly that key, or none.
func ownEntry(entries []store.Entry, key string) store.Entry {
	for _, e := range entries {
		if e.Key == key {
			return e
		}
	}
	return store.Entry{}
}

// decodeWant reads assignments. No document means that nothing is wanted.
func decodeWant(e store.Entry) (map[octo.InstanceID]octo.Assignment, error) {
	want := map[octo.InstanceID]octo.Assignment{}
	if e.Version == store.Absent {
		return want, nil
	}
	var list []octo.Assignment
	if err := json.Unmarshal(e.Value, &list); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	for _, a := range list {
		want[a.Instance] = a
	}
	return want, nil
}

// wanted makes what is wanted the truth.
func (l *loop) wanted(want map[octo.InstanceID]octo.Assignment) {
	first := l.want == nil
	l.want = want
	for id, in := range l.instances {
		if a, ok := want[id]; !ok || a.Drain {
			l.leave(in)
		}
	}
	for id, a := range want {
		if l.instances[id] == nil && !a.Drain {
			l.advance(l.create(a, l.synced))
		}
	}
	if first {
		l.list() // the engine may have been there before
	}
	l.settle()
}

// leave lets an instance go.
func (l *loop) leave(in *instance) {
	if in.leaving {
		return
	}
	in.leaving, in.adopting = true, false
	in.interrupt()
	in.signal(octo.SignalDrain)
	l.advance(in)
}
