package logs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/logs"
	"github.com/octohost/octohost/internal/octo"
)

const hello octo.Name = "hello"

// archive runs an archive until the test ends, or stop is called.
func archive(t testing.TB, dir string, edit ...func(*logs.ArchiveConfig)) (a *logs.Archive, stop func()) {
	t.Helper()
	cfg := logs.ArchiveConfig{Dir: dir, Max: 1 << 20, Log: slog.New(slog.DiscardHandler)}
	for _, f := range edit {
		f(&cfg)
	}
	a = logs.NewArchive(cfg)
	return a, start(t, a.Run)
}

// start runs something until the test ends, or stop is called.
func start(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }() // ended by stop, which waits for it
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

// router returns lines of the router, of one moment each.
func router(at time.Time, texts ...string) (all []octo.LogLine) {
	for i, text := range texts {
		all = append(all, octo.LogLine{Time: at.Add(time.Duration(i) * time.Microsecond), App: hello, Source: octo.LogRouter, Text: text})
	}
	return all
}

// read returns what a query selects, as NAME: TEXT.
func read(t testing.TB, a *logs.Archive, q octo.LogQuery) (texts []string) {
	t.Helper()
	for l, err := range a.Read(t.Context(), hello, q) {
		require.NoError(t, err)
		texts = append(texts, l.Name()+": "+l.Text)
	}
	return texts
}

func TestArchive_SurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	a, stop := archive(t, dir)
	at := time.Now().Add(-time.Minute)
	a.Add(router(at, "one", "two"))
	a.Event(octo.Event{Time: at.Add(time.Second), App: hello, Release: 3, Kind: octo.EventReleaseLive, Message: "v3 is live\nand well\n"})
	a.Event(octo.Event{Kind: octo.EventEngineLost, Message: "of no app"})
	want := []string{"router: one", "router: two", "release: v3 is live", "release: and well"}
	require.Equal(t, want, read(t, a, octo.LogQuery{}), "what was added can be read at once")
	a.Add(router(at.Add(2*time.Second), "last"))
	stop()
	a, _ = archive(t, dir)
	require.Equal(t, append(want, "router: last"), read(t, a, octo.LogQuery{}))
	st, err := os.Stat(filepath.Join(dir, "hello"))
	require.NoError(t, err)
	require.Zero(t, st.Mode()&0o077, "nobody else reads it")
	u, err := logs.UsageOf(dir)
	require.NoError(t, err)
	require.Equal(t, 1, u.Apps)
	require.Positive(t, u.Bytes)
}

func TestArchive_LinesOfAMomentAreInOrderOfTime(t *testing.T) {
	a, _ := archive(t, t.TempDir())
	now := time.Now()
	for _, i := range []int{3, 1, 2, 0} {
		a.Add(router(now.Add(time.Duration(i)*time.Millisecond), fmt.Sprint(i)))
	}
	require.Equal(t, []string{"router: 0", "router: 1", "router: 2", "router: 3"}, read(t, a, octo.LogQuery{}))
}

func TestArchive_SelectsLines(t *testing.T) {
	a, _ := archive(t, t.TempDir())
	at := time.Now().Add(-time.Hour)
	line := func(n int, source octo.LogSource, process octo.Name, release int, text string) {
		l := octo.LogLine{Time: at.Add(time.Duration(n) * time.Minute), App: hello, Source: source, Process: process, Release: release, Text: text}
		if process != "" {
			l.Instance = octo.NewInstanceID(hello, process, release, n)
		}
		a.Add([]octo.LogLine{l})
	}
	line(1, octo.LogRouter, "web", 1, "request_id=abc")
	line(2, octo.LogRouter, "web", 2, "request_id=def")
	line(3, octo.LogOctohost, "", 2, "abc")
	line(4, octo.LogApp, "web", 3, "ghi")
	for name, c := range map[string]struct {
		q    octo.LogQuery
		want string
	}{
		"all":       {octo.LogQuery{}, "abc def abc ghi"},
		"last":      {octo.LogQuery{Tail: 1}, "ghi"},
		"since":     {octo.LogQuery{Since: at.Add(2 * time.Minute)}, "def abc ghi"},
		"until":     {octo.LogQuery{Until: at.Add(2 * time.Minute)}, "abc def"},
		"between":   {octo.LogQuery{Since: at.Add(90 * time.Second), Until: at.Add(150 * time.Second)}, "def"},
		"release":   {octo.LogQuery{Release: 2}, "def abc"},
		"process":   {octo.LogQuery{Process: "web"}, "ghi"},
		"copy":      {octo.LogQuery{Process: "web.4"}, "ghi"},
		"other":     {octo.LogQuery{Process: "web.1"}, ""},
		"app":       {octo.LogQuery{Source: octo.LogApp}, "ghi"},
		"router":    {octo.LogQuery{Process: "router"}, "abc def"},
		"source":    {octo.LogQuery{Source: octo.LogOctohost}, "abc"},
		"octohost":  {octo.LogQuery{Process: "octohost"}, "abc"},
		"request":   {octo.LogQuery{Request: "abc"}, "abc abc"},
		"text":      {octo.LogQuery{Text: "de"}, "def"},
		"text last": {octo.LogQuery{Text: "abc", Tail: 1, Release: 1}, "abc"},
		"nothing":   {octo.LogQuery{Process: "worker"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var texts []string
			for l, err := range a.Read(t.Context(), hello, c.q) {
				require.NoError(t, err)
				texts = append(texts, strings.TrimPrefix(l.Text, "request_id="))
			}
			require.Equal(t, c.want, strings.Join(texts, " "))
		})
	}
}

// An app that is destroyed takes its log along, also what is on its way; whoever takes
// its name never sees any of it.
func TestArchive_ForgetsAnApp(t *testing.T) {
	dir := t.TempDir()
	a, stop := archive(t, dir)
	before := time.Now()
	a.Add(router(before, "of the first"))
	next, done := follow(t, a, octo.LogQuery{})
	require.Equal(t, "of the first", next())
	a.Add(router(before, "waiting"))
	require.NoError(t, a.Forget(t.Context(), hello))
	done()
	require.NoDirExists(t, filepath.Join(dir, "hello"))
	a.Add(router(before, "late"))
	require.Empty(t, read(t, a, octo.LogQuery{}))
	a.Add(router(time.Now(), "of the second"))
	require.Equal(t, []string{"router: of the second"}, read(t, a, octo.LogQuery{}))
	stop()
	a, _ = archive(t, dir)
	require.NoError(t, a.Forget(t.Context(), hello), "of one that was not used since the start")
	require.Empty(t, read(t, a, octo.LogQuery{}))
	require.NoError(t, a.Forget(t.Context(), "never-there"))
}

// follow reads as logs -f does. next returns the next text; done waits for the end.
func follow(t testing.TB, a *logs.Archive, q octo.LogQuery) (next func() string, done func()) {
	t.Helper()
	q.Follow = true
	ctx, cancel := context.WithCancel(t.Context())
	texts := make(chan string)
	go func() { // ended by cancel, or with the log
		defer close(texts)
		for l, err := range a.Read(ctx, hello, q) {
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case texts <- l.Text:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range texts { //nolint:revive // until it has ended
		}
	})
	timeout := time.After(30 * time.Second)
	next = func() string {
		select {
		case text, ok := <-texts:
			require.True(t, ok, "it has ended")
			return text
		case <-timeout:
			require.FailNow(t, "nothing comes")
			return ""
		}
	}
	return next, func() {
		for range texts { //nolint:revive // until it has ended
		}
	}
}

func TestFollow_YieldsWhatComes(t *testing.T) {
	a, _ := archive(t, t.TempDir())
	a.Add(router(time.Now(), "before 1", "before 2"))
	next, _ := follow(t, a, octo.LogQuery{Tail: 1})
	require.Equal(t, "before 2", next())
	for i := range 20 {
		a.Add(router(time.Now(), fmt.Sprint(i)))
		require.Equal(t, fmt.Sprint(i), next())
	}
}

// What comes faster than a log can take is dropped, and the log says how much that was.
func TestArchive_DropsAFlood(t *testing.T) {
	a, stop := archive(t, t.TempDir())
	const flood = 20_000
	for i := range flood {
		a.Add(router(time.Now(), fmt.Sprint(i)))
	}
	a.Event(octo.Event{App: hello, Kind: octo.EventReleaseLive, Message: "v3 is live"}) // that is said all the same
	stop()
	kept, dropped, said := 0, 0, false
	for l, err := range a.Read(t.Context(), hello, octo.LogQuery{Tail: 2 * flood}) {
		require.NoError(t, err)
		n := 0
		switch _, err := fmt.Sscanf(l.Text, "octohost dropped %d lines of router", &n); {
		case err == nil:
			dropped += n
		case l.Event == octo.EventReleaseLive:
			said = true
		default:
			kept++
		}
	}
	require.True(t, said)
	require.Positive(t, dropped)
	require.Equal(t, flood, kept+dropped)
}

// A disk that takes nothing costs lines, and they are counted.
func TestArchive_TellsOfLinesThatCouldNotBeWritten(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "hello")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600)) // where the directory would be
	a, _ := archive(t, dir)
	a.Add(router(time.Now(), "one", "two"))
	for _, err := range a.Read(t.Context(), hello, octo.LogQuery{}) {
		require.Error(t, err)
	}
	require.NoError(t, os.Remove(blocked))
	next, _ := follow(t, a, octo.LogQuery{})
	require.Contains(t, next(), "octohost lost 2 lines: ")
	a.Add(router(time.Now(), "three"))
	require.Equal(t, "three", next())
}
