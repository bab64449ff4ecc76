package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

const (
	leaseTTL     = 30 * time.Second
	storeTimeout = 30 * time.Second
	// maxReport leaves room for what a store adds to a value.
	maxReport = store.MaxValue - 4<<10
)

// reporter writes have/<node> and nodes/<node> under a lease: one write at a time,
// always of what is true when it begins.
type reporter struct {
	loop  *loop
	woken chan struct{} // holds a token when there is something new
}

func newReporter(l *loop) *reporter {
	return &reporter{loop: l, woken: make(chan struct{}, 1)}
}

// wake has the report written.
func (r *reporter) wake() {
	select {
	case r.woken <- struct{}{}:
	default: // it will be anyway
	}
}

// run writes reports from the first wake on, until Run ends. What cannot be written
// is written again under a new lease.
func (r *reporter) run() {
	select {
	case <-r.woken:
	case <-r.loop.ctx.Done():
	}
	for r.loop.ctx.Err() == nil {
		if err := r.hold(r.loop.ctx); err != nil {
			r.loop.complain("report cannot be written", err)
			r.loop.pause(retryEvery)
		}
	}
}

// hold reports under one lease until that is lost.
func (r *reporter) hold(ctx context.Context) error {
	lease, err := r.loop.cfg.Store.Lease(ctx, leaseTTL)
	if err != nil {
		return fmt.Errorf("start lease: %w", err)
	}
	defer lease.Close() //nolint:errcheck // it ends by itself if this fails
	if err := r.write(ctx, lease); err != nil {
		return err
	}
	facts, err := json.Marshal(r.loop.cfg.Facts)
	if err != nil {
		return fmt.Errorf("encode node: %w", err)
	}
	if err := r.put(ctx, lease, store.NodesPrefix, facts); err != nil {
		return err
	}
	r.loop.once.Do(func() { close(r.loop.ready) })
	for {
		select {
		case <-r.woken:
		case <-lease.Done():
			return octo.Errorf(octo.ErrUnavailable, "the lease was lost")
		case <-ctx.Done():
			return nil
		}
		if err := r.write(ctx, lease); err != nil {
			return err
		}
	}
}

// write asks the loop for a report and writes it.
func (r *reporter) write(ctx context.Context, lease store.Lease) error {
	answer := make(chan []octo.Instance, 1)
	r.loop.post(func() {
		select {
		case <-r.woken: // what woke is part of this report
		default:
		}
		answer <- r.loop.report()
	})
	select {
	case report := <-answer:
		value, err := encodeReport(report)
		if err != nil {
			return err
		}
		return r.put(ctx, lease, store.HavePrefix, value)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *reporter) put(ctx context.Context, lease store.Lease, prefix string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	key := prefix + r.loop.cfg.Name
	if err := lease.Hold(ctx, key, value); err != nil {
		return fmt.Errorf("hold %s: %w", key, err)
	}
	return nil
}

// report is what is known of every instance now, sorted by id.
func (l *loop) report() []octo.Instance {
	all := make([]octo.Instance, 0, len(l.instances))
	for _, in := range l.instances {
		all = append(all, in.status)
	}
	slices.SortFunc(all, func(a, b octo.Instance) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// encodeReport encodes a report, and leaves out details if it would become too
// large for a store: logs first, then transcripts, then what else is only read by
// people.
func encodeReport(report []octo.Instance) ([]byte, error) {
	lighter := []func(*octo.Instance){
		func(i *octo.Instance) { i.Failure = without(i.Failure, func(f *octo.Failure) { f.Logs = nil }) },
		func(i *octo.Instance) { i.Failure = without(i.Failure, func(f *octo.Failure) { f.Transcript = nil }) },
		func(i *octo.Instance) { i.Note, i.Memory = "", 0 },
	}
	for {
		value, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encode report: %w", err)
		}
		if len(value) <= maxReport || len(lighter) == 0 {
			return value, nil
		}
		for i := range report {
			lighter[0](&report[i])
		}
		lighter = lighter[1:]
	}
}

// without returns a copy of f after change; a failure that was reported is not
// changed itself.
func without(f *octo.Failure, change func(*octo.Failure)) *octo.Failure {
	if f == nil {
		return nil
	}
	c := *f
	change(&c)
	return &c
}
