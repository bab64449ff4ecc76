package logs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/logs"
	"github.com/octohost/octohost/internal/octo"
)

const host = "host-1"

// desk is an engine whose containers print what they are told.
type desk struct {
	testing.TB
	*enginetest.Fake
	image string

	mu    sync.Mutex
	pipes map[string]*io.PipeWriter // by name of the container
}

func newDesk(t testing.TB) *desk {
	d := &desk{TB: t, pipes: map[string]*io.PipeWriter{}}
	d.Fake = enginetest.NewFake(enginetest.FakeConfig{Program: d.program})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	d.image = d.AddImage(engine.Image{Command: []string{"print"}})
	return d
}

// program prints what comes through the container's pipe, lines that begin with ! to
// standard error, until it is told to end.
func (d *desk) program(ctx context.Context, p *enginetest.FakeProcess) int {
	r, w := io.Pipe()
	d.mu.Lock()
	d.pipes[p.Spec.Name] = w
	d.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		out := p.Stdout
		if strings.HasPrefix(lines.Text(), "!") {
			out = p.Stderr
		}
		fmt.Fprintln(out, lines.Text())
	}
	return 0
}

// run starts the nth copy of a process of release 3 of hello.
func (d *desk) run(process octo.Name, n int) engine.Container {
	d.Helper()
	id := octo.NewInstanceID(hello, process, 3, n)
	c, err := d.Start(d.Context(), engine.Spec{Name: string(id), Image: d.image, Labels: map[string]string{
		engine.LabelHost: host, engine.LabelApp: string(hello), engine.LabelProcess: string(process),
		engine.LabelRelease: "3", engine.LabelInstance: string(id),
	}})
	require.NoError(d, err)
	return c
}

// pipe returns the way to a container's program.
func (d *desk) pipe(c engine.Container) (w *io.PipeWriter) {
	d.Helper()
	require.Eventually(d, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		w = d.pipes[c.Name]
		return w != nil
	}, 10*time.Second, time.Millisecond)
	return w
}

// say has a container print lines.
func (d *desk) say(c engine.Container, lines ...string) {
	d.Helper()
	w := d.pipe(c)
	for _, l := range lines {
		_, err := fmt.Fprintln(w, l)
		require.NoError(d, err)
	}
}

// end has a container's program end.
func (d *desk) end(c engine.Container) {
	d.Helper()
	w := d.pipe(c)
	d.mu.Lock()
	delete(d.pipes, c.Name)
	d.mu.Unlock()
	require.NoError(d, w.Close())
	require.Eventually(d, func() bool {
		box, err := d.Inspect(d.Context(), c.ID)
		return err == nil && box.State == engine.StateExited
	}, 10*time.Second, time.Millisecond)
}

// collecting is an archive and its collector, as octohost runs them.
type collecting struct {
	*logs.Archive
	*logs.Collector
	stop func()
}

func collect(t testing.TB, e logs.Engine, dir string, edit ...func(*logs.ArchiveConfig)) collecting {
	t.Helper()
	a, stopArchive := archive(t, dir, edit...)
	c := logs.NewCollector(logs.CollectorConfig{Host: host, Engine: e, Archive: a, Log: slog.New(slog.DiscardHandler)})
	stopCollector := start(t, c.Run)
	return collecting{a, c, func() {
		stopCollector()
		stopArchive()
	}}
}

// await waits until the log has so many lines, and returns all.
func await(t testing.TB, a *logs.Archive, n int) (texts []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		texts = read(t, a, octo.LogQuery{Tail: 100_000})
		return len(texts) >= n
	}, 30*time.Second, 5*time.Millisecond, "%d lines", n)
	return texts
}

func TestCollector_CollectsWhatContainersPrint(t *testing.T) {
	d := newDesk(t)
	early := d.run("web", 1)
	d.say(early, "one")
	c := collect(t, d, t.TempDir())
	require.Equal(t, []string{"web.1: one"}, await(t, c.Archive, 1))
	late := d.run("worker", 2)
	d.say(late, "!two")
	require.Equal(t, []string{"web.1: one", "worker.2: !two"}, await(t, c.Archive, 2))
	for l, err := range c.Read(t.Context(), hello, octo.LogQuery{Tail: 1}) {
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), l.Time, time.Minute)
		l.Time = time.Time{}
		require.Equal(t, octo.LogLine{
			App: hello, Source: octo.LogApp, Release: 3, Process: "worker", Instance: "hello.worker.v3.2", Stderr: true, Text: "!two",
		}, l)
	}
	run, err := d.Start(t.Context(), engine.Spec{Name: "run", Image: d.image, Labels: map[string]string{
		engine.LabelHost: host, engine.LabelApp: "hello", engine.LabelProcess: "run", engine.LabelSpeaker: "run.x7k2p",
	}})
	require.NoError(t, err)
	d.say(run, "migrated")
	require.Equal(t, "run.x7k2p: migrated", await(t, c.Archive, 3)[2])
	require.Equal(t, []string{"run.x7k2p: migrated"}, read(t, c.Archive, octo.LogQuery{Process: "run.x7k2p"}))
	// Of others, and what is no part of an app, nothing is taken.
	_, err = d.Start(t.Context(), engine.Spec{Name: "build", Image: d.image, Labels: map[string]string{engine.LabelHost: host, engine.LabelApp: "hello"}})
	require.NoError(t, err)
	d.say(engine.Container{Name: "build"}, "Step 1/1")
	d.say(late, "three")
	require.Len(t, await(t, c.Archive, 4), 4)
}

func TestCollector_AContainerThatStartsAgainGoesOn(t *testing.T) {
	d := newDesk(t)
	c := collect(t, d, t.TempDir())
	box := d.run("web", 1)
	var want []string
	for i := range 5 {
		d.say(box, fmt.Sprint(i))
		want = append(want, fmt.Sprintf("web.1: %d", i))
		d.end(box)
		_, err := d.Restart(t.Context(), box.ID)
		require.NoError(t, err)
	}
	require.Equal(t, want, await(t, c.Archive, 5))
}

// A restart of octohost, or of the engine, neither loses a line nor doubles one.
func TestCollector_GoesOnWhereItWas(t *testing.T) {
	d := newDesk(t)
	dir := t.TempDir()
	boxes := []engine.Container{d.run("web", 1), d.run("web", 2), d.run("worker", 1)}
	total := map[string]int{}
	print := func() {
		for _, box := range boxes {
			for range 50 {
				d.say(box, fmt.Sprintf("%s %d", box.Name, total[box.Name]))
				total[box.Name]++
			}
		}
	}
	for range 4 {
		c := collect(t, d, dir)
		print()
		await(t, c.Archive, 10) // and somewhere in the middle of it
		c.stop()
		print() // while nobody looks
		c = collect(t, d, dir)
		print()
		d.Lose(false)
		print()
		d.Return()
		print()
		c.stop()
	}
	c := collect(t, d, dir)
	all := await(t, c.Archive, 3*50*5*4)
	seen := map[string]int{}
	for _, line := range all {
		_, text, _ := strings.Cut(line, ": ")
		name, n, _ := strings.Cut(text, " ")
		require.Equal(t, strconv.Itoa(seen[name]), n, "%s", name)
		seen[name]++
	}
	require.Equal(t, total, seen)
}

// One that prints so much that everything else must leave the log does not make octohost
// forget how far it has come with the others.
func TestCollector_RemembersWhatHasLeftTheLog(t *testing.T) {
	d := newDesk(t)
	dir := t.TempDir()
	small := func(cfg *logs.ArchiveConfig) { cfg.Max = 64 << 10 }
	c := collect(t, d, dir, small)
	quiet, loud := d.run("worker", 1), d.run("web", 1)
	d.say(quiet, "once")
	await(t, c.Archive, 1)
	for len(read(t, c.Archive, octo.LogQuery{Process: "worker"})) > 0 {
		d.say(loud, strings.Repeat("x", 1000))
	}
	c.stop()
	c = collect(t, d, dir, small)
	d.say(loud, "end")
	require.Eventually(t, func() bool { return slices.Contains(read(t, c.Archive, octo.LogQuery{}), "web.1: end") }, 30*time.Second, 5*time.Millisecond)
	require.Empty(t, read(t, c.Archive, octo.LogQuery{Process: "worker"}))
}

// The last words of a container are taken before it is removed, also of one that was
// gone before anybody heard of it, and they are taken once.
func TestFinish_TakesTheLastWords(t *testing.T) {
	d := newDesk(t)
	a, _ := archive(t, t.TempDir())
	c := logs.NewCollector(logs.CollectorConfig{Host: host, Engine: d, Archive: a, Log: slog.New(slog.DiscardHandler)})
	short := d.run("web", 1)
	d.say(short, "short", "life")
	d.end(short)
	require.NoError(t, c.Finish(t.Context(), short), "the collector does not even run")
	require.Equal(t, []string{"web.1: short", "web.1: life"}, read(t, a, octo.LogQuery{}))

	start(t, c.Run)
	long := d.run("web", 2)
	d.say(long, "one")
	await(t, a, 3)
	for i := range 100 {
		d.say(long, fmt.Sprint(i))
	}
	d.end(long)
	require.NoError(t, c.Finish(t.Context(), long))
	require.Len(t, read(t, a, octo.LogQuery{Tail: 1000}), 103)
	require.NoError(t, c.Finish(t.Context(), long), "asked again, since it could not be removed")
	d.Lose(false) // everything is listed again, and both are still there
	d.Return()
	last := d.run("web", 3)
	d.say(last, "last")
	require.Len(t, await(t, a, 104), 104)
	for _, box := range []engine.Container{short, long, last} {
		require.NoError(t, d.Remove(t.Context(), box.ID))
		require.NoError(t, c.Finish(t.Context(), box), "it is gone")
	}
}

// hung is an engine that does not give out logs.
type hung struct{ *desk }

func (h hung) Logs(ctx context.Context, _ string, _ engine.LogOptions) iter.Seq2[engine.LogLine, error] {
	return func(func(engine.LogLine, error) bool) { <-ctx.Done() }
}

func TestFinish_DoesNotWaitForEver(t *testing.T) {
	d := newDesk(t)
	c := collect(t, hung{d}, t.TempDir())
	for _, box := range []engine.Container{d.run("web", 1), d.run("web", 2)} {
		d.end(box)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, c.Finish(ctx, box), context.DeadlineExceeded)
	}
}

// A container that floods its log costs the others nothing, and what is kept and what
// is dropped of it is all that it has printed.
func TestCollector_AFloodDoesNotDrownTheOthers(t *testing.T) {
	d := newDesk(t)
	c := collect(t, d, t.TempDir())
	loud := d.run("web", 1)
	other, err := d.Start(t.Context(), engine.Spec{Name: "other", Image: d.image, Labels: map[string]string{
		engine.LabelHost: host, engine.LabelApp: "other", engine.LabelProcess: "web", engine.LabelRelease: "1", engine.LabelInstance: "other.web.v1.1",
	}})
	require.NoError(t, err)
	const flood = 30_000
	var done sync.WaitGroup
	done.Go(func() {
		for range flood {
			d.say(loud, "0123456789012345678901234567890123456789")
		}
	})
	d.say(other, "still here")
	require.Eventually(t, func() bool {
		for l, err := range c.Read(t.Context(), "other", octo.LogQuery{}) {
			return err == nil && l.Text == "still here"
		}
		return false
	}, 30*time.Second, time.Millisecond)
	done.Wait()
	d.end(loud)
	require.NoError(t, c.Finish(t.Context(), loud))
	kept, dropped := 0, 0
	require.Eventually(t, func() bool { // the log tells once a second
		kept, dropped = 0, 0
		for l, err := range c.Read(t.Context(), hello, octo.LogQuery{Tail: 100_000}) {
			require.NoError(t, err)
			n := 0
			if _, err := fmt.Sscanf(l.Text, "octohost dropped %d lines of web.1", &n); err == nil {
				dropped += n
			} else {
				kept++
			}
		}
		return kept+dropped == flood
	}, 30*time.Second, 10*time.Millisecond)
	require.Positive(t, dropped)
}
