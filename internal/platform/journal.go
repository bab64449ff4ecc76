package platform

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"

	"github.com/google/uuid"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

const (
	// keepEvents is how many events are kept.
	keepEvents = 1000
	// eventQueue is how many events may wait for the store before some are dropped.
	eventQueue = 256
)

// Journal keeps the latest events. Recording never waits: an event is news, not
// state.
type Journal struct {
	store store.Store
	log   *slog.Logger
	queue chan octo.Event
}

// NewJournal returns a Journal that writes once it runs.
func NewJournal(s store.Store, log *slog.Logger) *Journal {
	return &Journal{store: s, log: log, queue: make(chan octo.Event, eventQueue)}
}

// Record notes an event. Its ID and, if it has none, its time are set.
func (j *Journal) Record(e octo.Event) {
	if e.Time.IsZero() {
		e.Time = now()
	}
	e.ID = uuid.Must(uuid.NewV7()).String()
	j.log.Info(e.Message, "event", e.Kind, "app", e.App, "release", e.Release, "user", e.User)
	select {
	case j.queue <- e:
	default:
		j.log.Warn("event dropped: the store is too slow", "event", e.Kind, "app", e.App)
	}
}

// Run writes events until ctx is done, then those that wait.
func (j *Journal) Run(ctx context.Context) error {
	kept, err := j.store.List(ctx, store.EventsPrefix)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("list events: %w", err)
	}
	keys := make([]string, 0, keepEvents)
	for _, e := range kept {
		keys = append(keys, e.Key)
	}
	for {
		select {
		case e := <-j.queue:
			keys = j.write(ctx, e, keys)
		case <-ctx.Done():
			for len(j.queue) > 0 {
				keys = j.write(context.WithoutCancel(ctx), <-j.queue, keys)
			}
			return nil
		}
	}
}

// write stores an event, and removes the oldest beyond the bound.
func (j *Journal) write(ctx context.Context, e octo.Event, keys []string) []string {
	value, err := json.Marshal(e)
	if err == nil {
		_, err = j.store.Put(ctx, store.EventsPrefix+e.ID, value, store.Absent)
	}
	if err != nil {
		j.log.Warn("cannot write event", "event", e.Kind, "app", e.App, "err", err)
		return keys
	}
	keys = append(keys, store.EventsPrefix+e.ID)
	for len(keys) > keepEvents {
		if err := j.store.Delete(ctx, keys[0], store.Any); err != nil {
			j.log.Warn("cannot remove old event", "err", err)
			return keys
		}
		keys = keys[1:]
	}
	return keys
}

// Events yields the events that who may see, oldest first.
func (p *Platform) Events(ctx context.Context, who octo.Identity, q octo.EventQuery) iter.Seq2[octo.Event, error] {
	return func(yield func(octo.Event, error) bool) {
		docs := store.Docs[octo.Event]{Store: p.Store, Prefix: store.EventsPrefix}
		last := ""
		for all, err := range docs.Watch(ctx) {
			if err != nil {
				if ctx.Err() == nil && !yield(octo.Event{}, fmt.Errorf("read events: %w", err)) {
					return
				}
				continue
			}
			fresh, err := p.fresh(ctx, who, q, all, last)
			if err != nil {
				yield(octo.Event{}, err)
				return
			}
			for _, e := range fresh {
				if !yield(e, nil) {
					return
				}
			}
			if !q.Follow {
				return
			}
			if len(all) > 0 {
				last = all[len(all)-1].Name
			}
		}
	}
}

// fresh returns the events after last that a query asks for and who may see: at
// first as many as it wants, later all.
func (p *Platform) fresh(ctx context.Context, who octo.Identity, q octo.EventQuery, all []store.Doc[octo.Event], last string) ([]octo.Event, error) {
	sees, err := p.sees(ctx, who)
	if err != nil {
		return nil, err
	}
	everything := octo.Allowed(who, octo.ActionAdmin, nil) == nil
	var list []octo.Event
	for _, d := range all {
		e := d.Value
		mine := e.App != "" && sees(e.App) || e.App == "" && e.User == who.User || everything
		if d.Name > last && mine && (q.App == "" || q.App == e.App) && e.Time.After(q.Since) {
			list = append(list, e)
		}
	}
	if last == "" {
		list = list[max(0, len(list)-cmp.Or(q.Tail, DefaultTail)):]
	}
	return list, nil
}

// ForgetEvents removes the events of an app that is gone, so that one who takes its
// name later does not see them.
func (j *Journal) ForgetEvents(ctx context.Context, app octo.Name) error {
	docs := store.Docs[octo.Event]{Store: j.store, Prefix: store.EventsPrefix}
	all, err := docs.All(ctx)
	if err != nil {
		return fmt.Errorf("list events: %w", err)
	}
	for _, d := range all {
		if d.Value.App == app {
			if err := docs.Delete(ctx, d.Name); err != nil {
				return fmt.Errorf("delete event: %w", err)
			}
		}
	}
	return nil
}
