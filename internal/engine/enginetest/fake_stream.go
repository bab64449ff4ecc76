package enginetest

import (
	"bytes"
	"context"
	"io"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
)

// fakeRetry is how long Events of a lost Fake waits before it looks again.
const fakeRetry = 5 * time.Millisecond

// stream is one consumer of events, guarded by the lock of its Fake.
type stream struct {
	labels map[string]string
	queue  []engine.Event
	broken bool
	wake   chan struct{} // has an element when there is something to see
}

func (s *stream) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

func (s *stream) breakOff() {
	s.queue, s.broken = nil, true // what was not delivered is lost
	s.nudge()
}

// tell sends an event of a container to all who listen. The caller holds the lock.
func (f *Fake) tell(c *fakeContainer, kind engine.EventKind) {
	event := engine.Event{Kind: kind, Container: c.ID, Labels: maps.Clone(c.Labels), Time: time.Now()}
	if kind == engine.EventDie {
		event.ExitCode = c.ExitCode
	}
	for s := range f.streams {
		if !f.lost && hasLabels(c.Labels, s.labels) {
			s.queue = append(s.queue, event)
			s.nudge()
		}
	}
}

// Events yields what happens to containers with these labels, as the real engine
// does: EventSync first, an error when it is lost, EventSync when it is back.
func (f *Fake) Events(ctx context.Context, labels map[string]string) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		told := false // that it is lost
		for ctx.Err() == nil {
			err := f.listen(ctx, labels, func(e engine.Event, err error) bool {
				told = false // it was back: the next loss is another
				return yield(e, err)
			})
			if err == nil || ctx.Err() != nil {
				return
			}
			if !told && !yield(engine.Event{}, err) {
				return
			}
			told = f.isLost()
			if f.delay(ctx, fakeRetry) != nil {
				return
			}
		}
	}
}

func (f *Fake) isLost() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// listen yields one stream of events; nil means that the consumer has left.
func (f *Fake) listen(ctx context.Context, labels map[string]string, yield func(engine.Event, error) bool) error {
	s := &stream{labels: labels, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	if err := f.up(); err != nil {
		f.mu.Unlock()
		return err
	}
	f.streams[s] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.streams, s)
	}()
	if !yield(engine.Event{Kind: engine.EventSync, Time: time.Now()}, nil) {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		}
		events, err := f.drain(s)
		for _, e := range events {
			if !yield(e, nil) {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

func (f *Fake) drain(s *stream) ([]engine.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := s.queue
	s.queue = nil
	if s.broken {
		return events, errLost()
	}
	return events, nil
}

// Logs yields what a container printed.
func (f *Fake) Logs(ctx context.Context, id string, opts engine.LogOptions) iter.Seq2[engine.LogLine, error] {
	return func(yield func(engine.LogLine, error) bool) {
		f.mu.Lock()
		c, err := f.find(id)
		f.mu.Unlock()
		if err != nil {
			yield(engine.LogLine{}, err)
			return
		}
		next := c.log.first(opts)
		for {
			lines, changed := c.log.from(next)
			for _, line := range lines {
				if line.Time.Before(opts.Since) {
					continue
				}
				if ctx.Err() != nil || !yield(line, nil) {
					return
				}
			}
			next += len(lines)
			if !opts.Follow || changed == nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}

// fakeLog holds the lines that a container printed.
type fakeLog struct {
	mu      sync.Mutex
	lines   []engine.LogLine
	running bool
	changed chan struct{} // closed and replaced at every change
}

func newFakeLog() *fakeLog { return &fakeLog{changed: make(chan struct{})} }

func (l *fakeLog) open()  { l.set(true) }
func (l *fakeLog) close() { l.set(false) }

func (l *fakeLog) set(running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = running
	l.broadcast()
}

func (l *fakeLog) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// first returns the index of the first line that opts asks for.
func (l *fakeLog) first(opts engine.LogOptions) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if opts.Tail < 0 {
		return 0
	}
	return max(0, len(l.lines)-opts.Tail)
}

// from returns the lines from an index on, and a channel that is closed when there
// is more; nil when there will be none.
func (l *fakeLog) from(i int) ([]engine.LogLine, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return l.lines[i:], nil
	}
	return l.lines[i:], l.changed
}

func (l *fakeLog) writer(stderr bool) io.Writer { return &logWriter{log: l, stderr: stderr} }

// logWriter makes lines of what is written to it.
type logWriter struct {
	log    *fakeLog
	stderr bool
	begun  []byte // guarded by the log's lock
}

// Write never fails.
func (w *logWriter) Write(p []byte) (int, error) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.begun = append(w.begun, p...)
	for {
		line, rest, ok := bytes.Cut(w.begun, []byte("\n"))
		if !ok {
			break
		}
		w.log.lines = append(w.log.lines, engine.LogLine{Time: time.Now(), Stderr: w.stderr, Text: string(line)})
		w.begun = rest
	}
	w.log.broadcast()
	return len(p), nil
}
