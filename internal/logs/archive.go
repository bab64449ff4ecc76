// Package logs keeps what apps print, what the router says about their requests, and
// what octohost does with them, so that it can be read when the containers are long
// gone. Each app has a log of bounded size on disk (package ring).
//
// A Collector reads what the containers of this machine print, and puts it into an
// Archive; the proxy and the journal of events add their lines to it. Nobody who adds
// a line ever waits for a disk, and no app for anybody: the collector reads from the
// engine, which has written down the line already. What comes too fast to be kept is
// dropped, counted, and the log says how much that was.
package logs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/ring"
)

// ArchiveConfig is what an Archive needs.
type ArchiveConfig struct {
	Dir  string      // the logs of each app are in a directory of its name
	Max  int64       // bytes of one app's log
	Full func() bool // there is no room on the disk for logs to grow; may be nil
	Log  *slog.Logger
}

// Archive keeps the logs of all apps.
type Archive struct {
	cfg     ArchiveConfig
	pending atomic.Int64  // bytes of all that wait to be written
	wake    chan struct{} // holds a token when there is something to write

	mu      sync.Mutex
	streams map[octo.Name]*stream
	dirty   map[*stream]bool        // those that have something to write
	gone    map[octo.Name]time.Time // apps that were forgotten a short while ago, and when
}

// NewArchive returns an Archive, which writes while it runs.
func NewArchive(cfg ArchiveConfig) *Archive {
	return &Archive{
		cfg: cfg, wake: make(chan struct{}, 1),
		streams: map[octo.Name]*stream{}, dirty: map[*stream]bool{}, gone: map[octo.Name]time.Time{},
	}
}

const (
	// batch is how long lines are gathered before they are written together.
	batch = 50 * time.Millisecond
	// goneFor is how long lines of a forgotten app may still be on their way.
	goneFor = time.Hour
)

// Run writes what was added until ctx is done, and then the rest.
func (a *Archive) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-a.wake:
			pause(ctx, batch)
			a.flush(false)
		case <-ctx.Done():
		}
	}
	a.flush(true)
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// flush writes what waits, for the last time or not.
func (a *Archive) flush(last bool) {
	a.mu.Lock()
	dirty := a.dirty
	a.dirty = map[*stream]bool{}
	a.mu.Unlock()
	for s := range dirty {
		s.flushAs(last)
	}
}

// soil has a stream written soon.
func (a *Archive) soil(s *stream) {
	a.mu.Lock()
	a.dirty[s] = true
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // it is awake
	}
}

// stream returns what takes the lines of an app.
func (a *Archive) stream(app octo.Name) *stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streams[app]
	if s == nil {
		s = newStream(a, app)
		a.streams[app] = s
	}
	return s
}

// Add takes lines of apps that are not printed by containers. It does not wait.
func (a *Archive) Add(lines []octo.LogLine) {
	for i := range lines {
		if l := &lines[i]; l.App != "" && !a.late(l) {
			a.stream(l.App).add(&entry{line: *l})
		}
	}
}

// late reports whether a line is of an app that has been forgotten since, whatever has
// its name now.
func (a *Archive) late(l *octo.LogLine) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.gone[l.App]
	return ok && !l.Time.After(at)
}

// Event takes note of an event of an app. It does not wait.
func (a *Archive) Event(e octo.Event) {
	at := e.Time
	if at.IsZero() {
		at = time.Now()
	}
	var lines []octo.LogLine
	for text := range strings.Lines(e.Message) {
		lines = append(lines, octo.LogLine{
			Time: at, App: e.App, Source: octo.LogOctohost, Release: e.Release, Event: e.Kind, Text: strings.TrimSpace(text),
		})
	}
	a.Add(lines)
}

// Forget removes the log of an app that is gone. Lines of it that are still on their
// way are not taken any more, and whoever reads it comes to an end; another app of the
// name begins anew.
func (a *Archive) Forget(_ context.Context, app octo.Name) error {
	a.mu.Lock()
	s, now := a.streams[app], time.Now()
	delete(a.streams, app)
	maps.DeleteFunc(a.gone, func(_ octo.Name, at time.Time) bool { return now.Sub(at) > goneFor })
	a.gone[app] = now
	a.mu.Unlock()
	if s == nil {
		s = newStream(a, app)
	}
	if err := s.remove(); err != nil {
		return fmt.Errorf("remove logs of %s: %w", app, err)
	}
	return nil
}

// Usage is how much all logs together take.
type Usage struct {
	Apps  int   // that have a log
	Bytes int64 // on disk
}

// UsageOf returns how much the logs in a directory take.
func UsageOf(dir string) (u Usage, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return u, fmt.Errorf("list logs: %w", err)
	}
	apps := map[string]bool{}
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			apps[filepath.Dir(f)] = true
			u.Bytes += st.Size()
		}
	}
	u.Apps = len(apps)
	return u, nil
}

// retain forgets how far containers were taken that are not among these.
func (a *Archive) retain(containers map[key]bool) {
	a.mu.Lock()
	streams := slices.Collect(maps.Values(a.streams))
	a.mu.Unlock()
	for _, s := range streams {
		s.retain(containers)
	}
}

func (a *Archive) open(app octo.Name) (*ring.Log, error) {
	return ring.Open(ring.Config{Dir: filepath.Join(a.cfg.Dir, string(app)), Max: a.cfg.Max, Full: a.cfg.Full})
}
