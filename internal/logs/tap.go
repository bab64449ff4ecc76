package logs

import (
	"context"
	"errors"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	// readAhead is how many bytes that nobody keeps are read without a pause, and
	// readPause how long that is: a container that floods its log must not keep the
	// engine, and octohost, from everything else.
	readAhead = 1 << 20
	readPause = 100 * time.Millisecond
	// followAgain is the pause before a container is read again whose log has ended
	// although it runs; it doubles up to maxRetry.
	followAgain = 100 * time.Millisecond
	maxRetry    = 30 * time.Second
	lookTimeout = 30 * time.Second
)

// tap collects from one container.
type tap struct {
	collector *Collector
	container string
	key       key
	from      speaker
	stream    *stream // of the app that it belongs to, and of no other that takes its name

	woken  chan struct{}   // holds a token when the container may have started again
	ending context.Context // done when the container prints nothing more
	finish func()          // ends it
	done   chan struct{}   // closed when all is taken
	err    error           // why not all; to be read when done is closed
	gone   bool            // the container is not there any more; likewise
	wasted int             // bytes that nobody kept, since the last pause
	retry  time.Duration
}

func newTap(c *Collector, container string, from speaker) *tap {
	t := &tap{
		collector: c, container: container, key: keyOf(container), from: from, stream: c.cfg.Archive.stream(from.app),
		woken: make(chan struct{}, 1), done: make(chan struct{}),
	}
	t.ending, t.finish = context.WithCancel(context.Background())
	return t
}

// nudge has the tap look whether the container prints again.
func (t *tap) nudge() {
	select {
	case t.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// run collects until the container is gone or ctx is done. It reports whether it has
// taken everything.
func (t *tap) run(ctx context.Context) bool {
	defer t.finish()
	for ctx.Err() == nil {
		last := t.ending.Err() != nil
		err := t.collect(ctx, !last)
		t.gone = errors.Is(err, octo.ErrNotFound)
		if t.gone || last && ctx.Err() == nil {
			t.stream.flush()
			if !t.gone {
				t.err = err
			}
			return t.err == nil
		}
		if !last {
			t.rest(ctx, err)
		}
	}
	t.err = ctx.Err()
	return false
}

// rest waits until there is something to read: the container has started again, or is
// about to go. One that runs although its log has ended is read again soon.
func (t *tap) rest(ctx context.Context, err error) {
	again := (<-chan time.Time)(nil)
	if err != nil || t.isRunning(ctx) {
		t.retry = min(max(2*t.retry, followAgain), maxRetry)
		timer := time.NewTimer(t.retry)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-t.woken:
	case <-t.ending.Done():
	case <-again:
	case <-ctx.Done():
	}
}

func (t *tap) isRunning(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	box, err := t.collector.cfg.Engine.Inspect(ctx, t.container)
	return err != nil || box.State == engine.StateRunning
}

// collect takes what the container has printed since the last line that was taken, and
// with follow what it prints until it stops or prints nothing more.
func (t *tap) collect(ctx context.Context, follow bool) error {
	taken, err := t.stream.attach(t.key)
	if err != nil {
		return err
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	if follow {
		stop := context.AfterFunc(t.ending, cancel)
		defer stop()
	}
	fresh := filter{taken: taken}
	opts := engine.LogOptions{Tail: -1, Since: taken.since(), Follow: follow}
	for line, err := range t.collector.cfg.Engine.Logs(reading, t.container, opts) {
		if err != nil {
			return err
		}
		if line.Time.IsZero() {
			line.Time = time.Now() // the engine should have said
		}
		if fresh.fresh(line.Time.UnixNano(), line.Stderr) {
			t.retry = 0
			t.take(reading, line)
		}
	}
	return nil
}

func (t *tap) take(ctx context.Context, line engine.LogLine) {
	e := entry{container: t.key, line: octo.LogLine{
		Time: line.Time, App: t.from.app, Source: octo.LogApp, Release: t.from.release,
		Process: t.from.process, Instance: t.from.instance, Stderr: line.Stderr, Text: line.Text,
	}}
	if t.stream.add(&e) {
		return
	}
	if t.wasted += len(line.Text); t.wasted > readAhead && t.ending.Err() == nil {
		t.wasted = 0
		pause(ctx, readPause)
	}
}
