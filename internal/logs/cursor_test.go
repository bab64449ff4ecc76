package logs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
)

// printed is a line as the engine has it.
type printed struct {
	at     int64
	stderr bool
	text   string
}

// printouts draws what a container prints: the times of each stream never go back, many
// are the same, and the engine writes down a line of one a little after later ones of
// the other.
func printouts(t *rapid.T) []printed {
	base := time.Now().UnixNano()
	clock := [2]int64{base, base}
	var all []printed
	for i := range rapid.IntRange(0, 40).Draw(t, "lines") {
		stderr := rapid.Bool().Draw(t, "stderr")
		s := 0
		if stderr {
			s = 1
		}
		clock[s] = max(clock[s], clock[1-s]-int64(time.Second)) + rapid.SampledFrom([]int64{0, 0, 1, int64(time.Second), int64(time.Hour)}).Draw(t, "step")
		all = append(all, printed{clock[s], stderr, fmt.Sprint(i)})
	}
	return all
}

// However often the collector is interrupted, and whatever is left of the log then,
// every line is taken once.
func TestFilter_EveryLineIsTakenOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := printouts(t)
		var taken []printed
		state := cursor{}
		for range rapid.IntRange(1, 5).Draw(t, "interruptions") {
			taken = append(taken, resume(&state, all, rapid.IntRange(0, len(all)).Draw(t, "until"))...)
		}
		taken = append(taken, resume(&state, all, len(all))...)
		for _, stderr := range []bool{false, true} {
			of := func(lines []printed) (texts []string) {
				for _, l := range lines {
					if l.stderr == stderr {
						texts = append(texts, l.text)
					}
				}
				return texts
			}
			require.Equal(t, of(all), of(taken))
		}
	})
}

// resume takes what is new among the first n lines.
func resume(state *cursor, all []printed, n int) (taken []printed) {
	f, since := filter{taken: *state}, state.since()
	for _, l := range all[:n] {
		if !time.Unix(0, l.at).Before(since) && f.fresh(l.at, l.stderr) {
			state.stream(l.stderr).take(l.at)
			taken = append(taken, l)
		}
	}
	return taken
}

// What is found in the log of how far a container was taken is how far it was.
func TestRecall_FindsWhatWasTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := printouts(t)
		const box = key(7)
		state := map[key]*cursor{box: {}}
		var records [][]byte
		for _, l := range all {
			state[box].stream(l.stderr).take(l.at)
			e := entry{container: box, line: octo.LogLine{Time: time.Unix(0, l.at), Source: octo.LogApp, Stderr: l.stderr, Text: l.text}}
			if rapid.IntRange(0, 5).Draw(t, "dropped") > 0 {
				records = append(records, appendLine(nil, &e))
				if rapid.IntRange(0, 5).Draw(t, "checkpoint") > 0 {
					continue
				}
			}
			records = append(records, appendCheckpoint(nil, state))
		}
		r := recall{cursors: map[key]*cursor{}}
		for _, b := range slices.Backward(records) {
			if r.checkpoint(b) {
				break
			}
			e, ok := readLine(b, "app")
			require.True(t, ok)
			r.line(&e)
		}
		require.Equal(t, *state[box], *r.cursor(box))
	})
}

func TestLine_IsReadAsItWasKept(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 123456789, time.UTC)
	for _, line := range []octo.LogLine{
		{Time: at, App: "hello", Source: octo.LogApp, Release: 3, Process: "web", Instance: "hello.web.v3.12", Text: "listening"},
		{Time: at, App: "hello", Source: octo.LogApp, Release: 1, Process: "worker", Instance: "hello.worker.v1.1", Stderr: true, Text: "\x00\xff\r"},
		{Time: at, App: "hello", Source: octo.LogRouter, Release: 3, Process: "web", Instance: "hello.web.v3.1", Text: "at=info"},
		{Time: at, App: "hello", Source: octo.LogRouter, Text: "at=error code=no-instance"},
		{Time: at, App: "hello", Source: octo.LogOctohost, Release: 3, Event: octo.EventReleaseLive, Text: "v3 is live"},
		{Time: at, App: "hello", Source: octo.LogOctohost},
	} {
		e := entry{line: line}
		if line.Source == octo.LogApp {
			e.container = keyOf("c")
		}
		got, ok := readLine(appendLine(nil, &e), "hello")
		require.True(t, ok)
		require.Equal(t, e, got)
	}
}

func FuzzReadLine(f *testing.F) {
	e := entry{container: 7, line: octo.LogLine{Time: time.Unix(1, 2), Source: octo.LogApp, Release: 3, Process: "web", Instance: "a.web.v3.1", Text: "x"}}
	f.Add(appendLine(nil, &e))
	f.Add(appendCheckpoint(nil, map[key]*cursor{7: {out: place{5, 1}, err: place{6, 2}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := recall{cursors: map[key]*cursor{}}
		r.checkpoint(b)
		e, ok := readLine(b, "app")
		if !ok {
			return
		}
		again, ok := readLine(appendLine(nil, &e), "app")
		require.True(t, ok)
		require.Equal(t, e.line.Text, again.line.Text)
		require.True(t, e.line.Time.Equal(again.line.Time))
	})
}
