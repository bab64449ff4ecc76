package logs

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Engine is what a Collector asks of the container engine.
type Engine interface {
	List(ctx context.Context, labels map[string]string) ([]engine.Container, error)
	Inspect(ctx context.Context, id string) (engine.Container, error)
	Logs(ctx context.Context, id string, opts engine.LogOptions) iter.Seq2[engine.LogLine, error]
	Events(ctx context.Context, labels map[string]string) iter.Seq2[engine.Event, error]
}

// CollectorConfig is what a Collector needs.
type CollectorConfig struct {
	Host    string // value of the label octohost.host: whose containers are ours
	Engine  Engine
	Archive *Archive
	// Ready is closed when it may begin, so that it does not compete for the engine with
	// those on whom visitors wait. May be nil.
	Ready <-chan struct{}
	Log   *slog.Logger
}

// Collector puts into an archive what the containers of this machine print. It goes on
// where it was after a restart of octohost or of the engine: every line is taken once.
type Collector struct {
	cfg CollectorConfig

	mu       sync.Mutex
	taps     map[string]*tap // by container
	finished map[string]bool // containers of which everything was taken, and that go now
}

// NewCollector returns a Collector.
func NewCollector(cfg CollectorConfig) *Collector {
	return &Collector{cfg: cfg, taps: map[string]*tap{}, finished: map[string]bool{}}
}

const (
	// retryEvery is the pause after the engine has failed.
	retryEvery  = time.Second
	listTimeout = 2 * time.Minute
)

// Run collects until ctx is done.
func (c *Collector) Run(ctx context.Context) error {
	if c.cfg.Ready != nil {
		select {
		case <-c.cfg.Ready:
		case <-ctx.Done():
			return nil
		}
	}
	var running sync.WaitGroup
	defer running.Wait()
	for ctx.Err() == nil {
		for e, err := range c.cfg.Engine.Events(ctx, c.ours()) {
			switch {
			case err != nil: // the agent tells about it
			case e.Kind == engine.EventSync:
				c.sync(ctx, &running)
			case e.Kind == engine.EventStart:
				c.open(ctx, &running, engine.Container{ID: e.Container, Labels: e.Labels})
			case e.Kind == engine.EventGone:
				c.leave(e.Container)
			}
		}
		pause(ctx, retryEvery)
	}
	return nil
}

func (c *Collector) ours() map[string]string { return map[string]string{engine.LabelHost: c.cfg.Host} }

// sync looks at everything that there is.
func (c *Collector) sync(ctx context.Context, running *sync.WaitGroup) {
	boxes, err := c.list(ctx)
	for err != nil && ctx.Err() == nil {
		c.cfg.Log.Warn("logs: containers cannot be listed", "err", err)
		pause(ctx, retryEvery)
		boxes, err = c.list(ctx)
	}
	if err != nil {
		return
	}
	there, keys := map[string]bool{}, map[key]bool{}
	for _, box := range boxes {
		there[box.ID], keys[keyOf(box.ID)] = true, true
		c.open(ctx, running, box)
	}
	c.leaveOthers(there)
	c.cfg.Archive.retain(keys)
}

func (c *Collector) list(ctx context.Context) ([]engine.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	boxes, err := c.cfg.Engine.List(ctx, c.ours())
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return boxes, nil
}

// leaveOthers ends the collection from containers that are not there.
func (c *Collector) leaveOthers(there map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, t := range c.taps {
		if !there[id] {
			t.finish()
		}
	}
	maps.DeleteFunc(c.finished, func(id string, _ bool) bool { return !there[id] })
}

// open begins to collect from a container, or goes on when it has started again.
func (c *Collector) open(ctx context.Context, running *sync.WaitGroup, box engine.Container) {
	t, fresh := c.tap(box)
	switch {
	case t == nil:
	case fresh:
		running.Go(func() { c.close(t, t.run(ctx)) })
	default:
		t.nudge()
	}
}

// tap returns what collects from a container, and whether it is new; nil for one that
// is not to be collected from.
func (c *Collector) tap(box engine.Container) (t *tap, fresh bool) {
	from, ok := speakerOf(box)
	if !ok {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t = c.taps[box.ID]; t != nil || c.finished[box.ID] {
		return t, false
	}
	t = newTap(c, box.ID, from)
	c.taps[box.ID] = t
	return t, true
}

// close takes note that a tap has ended, and whether it has taken everything.
func (c *Collector) close(t *tap, finished bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.taps, t.container)
	if finished {
		t.stream.leave(t.key)
	}
	if finished && !t.gone {
		c.finished[t.container] = true // else a list from before would have it read again
	}
	close(t.done)
}

// leave ends the collection from a container that is gone.
func (c *Collector) leave(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.taps[id]; t != nil {
		t.finish()
	}
	delete(c.finished, id)
}

// Finish returns when everything that a container has printed is in the archive, or
// when ctx is done. It is to be called for one that has ended, before it is removed.
func (c *Collector) Finish(ctx context.Context, box engine.Container) error {
	t, fresh := c.tap(box)
	if t == nil {
		return nil
	}
	t.finish()
	if fresh { // it came and went before it was heard of
		c.close(t, t.run(ctx))
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return fmt.Errorf("read the last lines of %s: %w", t.from.instance, ctx.Err())
	}
	if t.err != nil {
		return fmt.Errorf("read the last lines of %s: %w", t.from.instance, t.err)
	}
	return nil
}

// speaker says whose lines a container's are.
type speaker struct {
	app      octo.Name
	process  octo.Name
	release  int
	instance octo.InstanceID
}

// speakerOf reads from the labels of a container whose lines it prints; false for one
// that is not part of an app: a step of a build, or somebody's own of our image.
func speakerOf(box engine.Container) (speaker, bool) {
	s := speaker{
		app: octo.Name(box.Labels[engine.LabelApp]), process: octo.Name(box.Labels[engine.LabelProcess]),
		instance: octo.InstanceID(box.Labels[engine.LabelInstance]),
	}
	if name := box.Labels[engine.LabelSpeaker]; name != "" { // a run, or a task of a release
		process, _, _ := strings.Cut(name, ".")
		s.process, s.instance = octo.Name(process), octo.InstanceID(string(s.app)+"."+name)
	}
	if n, err := strconv.Atoi(box.Labels[engine.LabelRelease]); err == nil {
		s.release = n
	}
	if _, err := octo.ParseName(string(s.app)); err != nil {
		return s, false // it becomes a directory
	}
	return s, s.process != "" && s.instance != ""
}
