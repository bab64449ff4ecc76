package logs

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// benchSize is the bound of a log, as octohost has it by default.
const benchSize = 50 << 20

// limitless returns an archive, and a stream of it, which take whatever comes.
func limitless(b *testing.B) (*Archive, *stream) {
	a := NewArchive(ArchiveConfig{Dir: b.TempDir(), Max: benchSize, Log: slog.New(slog.DiscardHandler)})
	s := a.stream("hello")
	s.budget = budget{burst: 1e18, left: 1e18}
	return a, s
}

// printedLine returns the nth line of a container, of 100 bytes.
func printedLine(n int, at time.Time) *entry {
	return &entry{container: 7, line: octo.LogLine{
		Time: at, App: "hello", Source: octo.LogApp, Release: 3, Process: "web", Instance: "hello.web.v3.1",
		Text: fmt.Sprintf("%09d %s", n, strings.Repeat("x", 90)),
	}}
}

// BenchmarkTake is a line of a container on its way to the disk.
func BenchmarkTake(b *testing.B) {
	_, s := limitless(b)
	e := printedLine(1, time.Now())
	b.SetBytes(int64(len(e.line.Text)))
	b.ReportAllocs()
	for b.Loop() {
		e.line.Time = e.line.Time.Add(time.Microsecond)
		s.add(e)
	}
	s.flush()
}

// full fills a log, and returns its archive.
func full(b *testing.B) *Archive {
	a, s := limitless(b)
	at := time.Now().Add(-time.Hour)
	for i := range benchSize / 100 {
		s.add(printedLine(i, at.Add(time.Duration(i)*time.Millisecond)))
	}
	s.flush()
	require.Greater(b, s.log.Size(), int64(benchSize*8/10))
	return a
}

// BenchmarkRead reads from a log of 50 MB.
func BenchmarkRead(b *testing.B) {
	a := full(b)
	for name, q := range map[string]octo.LogQuery{
		"last 100":    {Tail: 100},
		"last 10,000": {Tail: 10_000},
		"of nobody":   {Process: "worker", Tail: 100},
		"a request":   {Request: "019ab4a5-7b4e-7c4e-9d0f-3a1c5b2e7f60", Tail: 100},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range a.Read(b.Context(), "hello", q) {
					require.NoError(b, err)
				}
			}
		})
	}
}

// BenchmarkLoad finds out, as at the start of octohost, how far each container of an
// app was taken.
func BenchmarkLoad(b *testing.B) {
	a := full(b)
	for b.Loop() {
		s := newStream(a, "hello")
		require.NoError(b, s.load())
	}
}

// BenchmarkThousandApps is what an app costs whose log is in use.
func BenchmarkThousandApps(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		a := NewArchive(ArchiveConfig{Dir: b.TempDir(), Max: benchSize, Log: slog.New(slog.DiscardHandler)})
		for i := range 1000 {
			e := printedLine(i, time.Now())
			e.line.App = octo.Name(fmt.Sprintf("app%d", i))
			a.stream(e.line.App).add(e)
		}
		a.flush(false)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1000, "B/app")
		runtime.KeepAlive(a)
	}
}
