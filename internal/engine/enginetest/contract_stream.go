package enginetest

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// listen collects events until the test ends; the channel closes when they have.
func (s *suite) listen(labels map[string]string) <-chan engine.Event {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 2*deadline)
	events := make(chan engine.Event, 1000)
	go func() { // ended by cancel; the cleanup waits for it
		defer close(events)
		for event, err := range s.Events(ctx, labels) {
			if err != nil {
				s.Errorf("events: %v", err)
				return
			}
			events <- event
		}
	}()
	s.Cleanup(func() {
		cancel()
		for range events { //nolint:revive // until it has ended
		}
	})
	return events
}

// until returns the kinds of a container's events, up to one of a kind.
func (s *suite) until(events <-chan engine.Event, id string, last engine.EventKind) []engine.Event {
	s.Helper()
	var seen []engine.Event
	timeout := time.After(deadline)
	for {
		select {
		case e, ok := <-events:
			require.True(s, ok)
			if e.Container != id {
				continue
			}
			seen = append(seen, e)
			if e.Kind == last {
				return seen
			}
		case <-timeout:
			require.FailNow(s, "no event", "%s; seen %v", last, seen)
		}
	}
}

func kinds(events []engine.Event) []engine.EventKind {
	var out []engine.EventKind
	for _, e := range events {
		out = append(out, e.Kind)
	}
	return out
}

func (s *suite) events() {
	spec := s.hello()
	spec.Labels = map[string]string{engine.LabelHost: s.host, engine.LabelApp: "html"}
	events := s.listen(spec.Labels)
	require.Equal(s, engine.EventSync, (<-events).Kind)

	other := s.hello()
	other.Name += "-other"
	s.start(other) // another app: not ours to hear
	c := s.start(spec)
	s.get(c, "/exit?code=3")
	s.ended(c.ID)
	require.NoError(s, s.Remove(s.Context(), c.ID))
	seen := s.until(events, c.ID, engine.EventGone)
	require.Equal(s, []engine.EventKind{engine.EventStart, engine.EventDie, engine.EventGone}, kinds(seen))
	require.Equal(s, 3, seen[1].ExitCode)
	require.Equal(s, spec.Labels, seen[1].Labels)
	require.WithinDuration(s, time.Now(), seen[1].Time, time.Minute)
	require.Empty(s, events)

	spec.Env, spec.Memory = []string{"OOM=1"}, 16<<20
	c = s.start(spec)
	seen = s.until(events, c.ID, engine.EventDie)
	if !slices.Contains(kinds(seen), engine.EventOOM) {
		s.until(events, c.ID, engine.EventOOM) // the engine may say it a moment later
	}

	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	for event, err := range s.Events(ctx, s.labels) {
		require.NoError(s, err)
		require.Equal(s, engine.EventSync, event.Kind)
		cancel() // and it ends, without an error
	}
}

// lines reads a whole log.
func (s *suite) lines(id string, opts engine.LogOptions) (lines []engine.LogLine, texts []string) {
	s.Helper()
	for line, err := range s.Logs(s.Context(), id, opts) {
		require.NoError(s, err)
		lines, texts = append(lines, line), append(texts, line.Text)
	}
	return lines, texts
}

func (s *suite) logs() {
	c := s.start(s.hello("LOG=one|two||three|!oops", "EXIT_CODE=0"))
	s.ended(c.ID)
	lines, texts := s.lines(c.ID, engine.LogOptions{Tail: -1})
	require.ElementsMatch(s, []string{"one", "two", "three", "oops"}, texts)
	last := make(map[bool]time.Time) // of each stream: an engine reads the two side by side
	for _, line := range lines {
		require.Equal(s, line.Text == "oops", line.Stderr)
		require.WithinDuration(s, time.Now(), line.Time, time.Minute)
		require.False(s, line.Time.Before(last[line.Stderr]))
		last[line.Stderr] = line.Time
	}
	_, tail := s.lines(c.ID, engine.LogOptions{Tail: 2})
	require.Equal(s, texts[2:], tail)
	_, none := s.lines(c.ID, engine.LogOptions{Tail: 0})
	require.Empty(s, none)
	_, since := s.lines(c.ID, engine.LogOptions{Tail: -1, Since: time.Now().Add(time.Minute)})
	require.Empty(s, since)
	for _, from := range lines { // to the nanosecond, and that of the line itself too
		var want []string
		for _, l := range lines {
			if !l.Time.Before(from.Time) {
				want = append(want, l.Text)
			}
		}
		_, since := s.lines(c.ID, engine.LogOptions{Tail: -1, Since: from.Time})
		require.Equal(s, want, since)
	}
	for _, err := range s.Logs(s.Context(), s.host+"-nobody", engine.LogOptions{}) {
		require.ErrorIs(s, err, octo.ErrNotFound)
	}
}

func (s *suite) logsFollow() {
	c := s.start(s.hello())
	s.get(c, "/log?text=ready")
	var seen []string
	for line, err := range s.Logs(s.Context(), c.ID, engine.LogOptions{Tail: -1, Follow: true}) {
		require.NoError(s, err)
		seen = append(seen, line.Text)
		switch line.Text {
		case "ready":
			s.get(c, "/log?text=last+words&err=1")
		case "last words":
			require.True(s, line.Stderr)
			s.get(c, "/exit?code=0") // ends the log, and with it this loop
		}
	}
	require.Contains(s, seen, "last words")

	c, err := s.Restart(s.Context(), c.ID)
	require.NoError(s, err)
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	for line, err := range s.Logs(ctx, c.ID, engine.LogOptions{Tail: -1, Follow: true}) {
		require.NoError(s, err)
		if slices.Contains(seen, line.Text) {
			cancel() // and it ends, without an error
		}
	}
}
