// Package audit keeps who did what: a trail on disk, within a bound, that only grows
// at its end. What strangers try cannot push out of it what people did.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/ring"
)

// Config is what a Trail needs.
type Config struct {
	Dir string // belongs to the trail alone
	Max int64  // bytes of all that is kept
	Log *slog.Logger
}

// Trail is the record of who did what.
type Trail struct {
	log  *slog.Logger
	ring *ring.Log

	strangers, people ration // of refusals
}

// Open opens the trail in a directory, which is made if it is not there.
func Open(cfg Config) (*Trail, error) {
	r, err := ring.Open(ring.Config{Dir: cfg.Dir, Max: cfg.Max, Sync: true})
	if err != nil {
		return nil, err
	}
	return &Trail{
		log: cfg.Log, ring: r,
		strangers: ration{period: time.Hour, each: 10, all: 120},
		people:    ration{period: time.Minute, each: 20, all: 60},
	}, nil
}

// Record keeps what was done: it is on disk on return. Where it cannot be written,
// octo's own log has it: nobody is kept from working by a full disk. Of the same
// refusals in a row only some are kept, with the number of the others.
func (t *Trail) Record(a octo.Audit) {
	if quota, source := t.quota(a); quota != nil {
		var ok bool
		if a.Missed, ok = quota.take(source, a.Time); !ok {
			return
		}
	}
	data, err := json.Marshal(a)
	if err == nil {
		err = t.ring.Append(time.Now(), data)
	}
	if err != nil {
		t.log.Error("cannot keep audit record", "record", string(data), "err", err)
	}
}

// quota returns the ration that a record counts against, and whose part of it; nil
// means none.
func (t *Trail) quota(a octo.Audit) (*ration, string) {
	switch {
	case a.What == octo.AuditLogin:
		return &t.strangers, a.From
	case a.Result == octo.ResultOf(octo.ErrDenied), a.Result == octo.ResultOf(octo.ErrNotFound):
		return &t.people, a.User
	}
	return nil, ""
}

// defaultTail is how many records are shown when nobody says.
const defaultTail = 100

// Read yields the records that a query asks for and sees allows, oldest first.
func (t *Trail) Read(ctx context.Context, q octo.AuditQuery, sees func(octo.Audit) bool) iter.Seq2[octo.Audit, error] {
	wanted := func(a octo.Audit) bool {
		return (q.App == "" || q.App == a.App) && (q.User == "" || q.User == a.User) && sees(a)
	}
	return func(yield func(octo.Audit, error) bool) {
		start, err := t.start(ctx, q, wanted)
		if err != nil {
			yield(octo.Audit{}, err)
			return
		}
		records := t.ring.Forward(start)
		if q.Follow {
			records = t.ring.Follow(ctx, start)
		}
		for r, err := range records {
			if err != nil {
				yield(octo.Audit{}, fmt.Errorf("read audit trail: %w", err))
				return
			}
			if a, ok := decode(r); ok && wanted(a) && !yield(a, nil) {
				return
			}
		}
	}
}

// start returns the place of the oldest record that a query asks for.
func (t *Trail) start(ctx context.Context, q octo.AuditQuery, wanted func(octo.Audit) bool) (ring.Position, error) {
	start, left := t.ring.End(), cmp.Or(q.Tail, defaultTail)
	for r, err := range t.ring.Backward(start) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return start, fmt.Errorf("read audit trail: %w", err)
		}
		if !r.Time.After(q.Since) {
			break
		}
		if a, ok := decode(r); ok && wanted(a) {
			start = r.At
			if left--; left == 0 {
				break
			}
		}
	}
	return start, nil
}

// decode reads a record. One that is none is left out: what is damaged must not hide
// the others.
func decode(r ring.Record) (octo.Audit, bool) {
	var a octo.Audit
	err := json.Unmarshal(r.Data, &a)
	return a, err == nil
}
