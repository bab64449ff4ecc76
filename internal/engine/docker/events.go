package docker

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
)

// How long Events waits before it asks a lost engine again.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 3 * time.Second
)

// Events yields what happens to containers that carry these labels, until ctx
// ends or the loop is left. EventSync comes first, when the engine has promised to
// tell all that follows. When the engine is lost it yields an error, waits, and
// begins again with EventSync once it is back. An event may come twice.
func (e *Engine) Events(ctx context.Context, labels map[string]string) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		wait := firstWait
		for ctx.Err() == nil {
			synced, err := e.follow(ctx, labels, yield)
			if err == nil || ctx.Err() != nil || !yield(engine.Event{}, err) {
				return
			}
			if synced {
				wait = firstWait
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, lastWait)
		}
	}
}

// follow yields one stream of events and reports whether it began. It returns nil
// if the consumer has left, else why the stream ended.
func (e *Engine) follow(ctx context.Context, labels map[string]string, yield func(engine.Event, error) bool) (synced bool, err error) {
	if _, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return false, e.fail(err, "listen to engine")
	}
	ctx, cancel := context.WithCancel(ctx)
	stream := e.client.Events(ctx, client.EventsListOptions{
		// The engine answers a moment before it listens. It replays what happened
		// since now, so nothing is lost in between.
		Since:   instant(time.Now()),
		Filters: eventFilter(labels),
	})
	defer func() { // wait until the client's goroutine has ended
		cancel()
		for range stream.Err {
		}
	}()
	if !yield(engine.Event{Kind: engine.EventSync, Time: time.Now()}, nil) {
		return true, nil
	}
	for {
		select {
		case m := <-stream.Messages:
			if !yield(eventOf(m), nil) {
				return true, nil
			}
		case err := <-stream.Err:
			return true, e.fail(err, "listen to engine")
		}
	}
}

func eventFilter(labels map[string]string) client.Filters {
	return filter(labels).Add("type", string(events.ContainerEventType)).
		Add("event", string(engine.EventStart), string(engine.EventDie), string(engine.EventOOM), string(engine.EventGone))
}

// instant prints t as the engine reads it: seconds and nanoseconds.
func instant(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func eventOf(m events.Message) engine.Event {
	labels := maps.Clone(m.Actor.Attributes)
	for _, own := range []string{"image", "name", "exitCode", "execDuration", "signal"} {
		delete(labels, own) // the engine mixes its own attributes into the labels
	}
	code, _ := strconv.Atoi(m.Actor.Attributes["exitCode"]) // absent in all but die: 0
	return engine.Event{
		Kind: engine.EventKind(m.Action), Container: m.Actor.ID, Labels: labels,
		ExitCode: code, Time: time.Unix(0, m.TimeNano),
	}
}
