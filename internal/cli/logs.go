package cli

import (
	"context"
	"hash/fnv"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// streamFlags select a part of something that goes on: logs, events.
type streamFlags struct {
	follow bool
	last   int
	since  string
}

func (f *streamFlags) add(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until interrupted")
	cmd.Flags().IntVarP(&f.last, "num", "n", 0, "the last N "+what+" (default 100; with --since, all)")
	cmd.Flags().StringVar(&f.since, "since", "", "only what came later: 10m, 2h, 3d ago, or a time such as 2026-11-22T17:20:00Z")
}

// selected returns the number of elements and the time from which they are wanted.
func (f *streamFlags) selected(cmd *cobra.Command, now time.Time) (int, time.Time, error) {
	last := f.last
	if cmd.Flags().Changed("num") && (last < 1 || last > api.MaxTail) {
		return 0, time.Time{}, usage("for example -n 50", "-n %d is not a number from 1 to %d", last, api.MaxTail)
	}
	if f.since == "" {
		return last, time.Time{}, nil
	}
	since, ok := parseSince(f.since, now)
	if !ok {
		return 0, time.Time{}, usage("write --since 10m, --since 3d or --since 2026-11-22T17:20:00Z", "%.40q is not a time in the past", f.since)
	}
	if last == 0 {
		last = api.MaxTail
	}
	return last, since, nil
}

// parseSince reads a time in the past: how long ago (10m, 1h30m, 3d), or RFC 3339.
func parseSince(text string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, !t.After(now) && t.Year() > 1970
	}
	var d time.Duration
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > maxDays {
			return time.Time{}, false
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			return time.Time{}, false
		}
	}
	return now.Add(-d), d >= 0 && d <= maxDays*24*time.Hour
}

// maxDays is the longest time ago that can be asked for.
const maxDays = 10_000

type logsCommand struct {
	s *session
	streamFlags
	until, release, source, process, request, text string
}

func newLogsCommand(s *session) *cobra.Command {
	c := &logsCommand{s: s}
	cmd := &cobra.Command{
		Use:   "logs [APP]",
		Short: "Show what an app prints, and what happens to it",
		Long: `Show what an app prints, what the router says about each request, and what
octohost does with it, also of instances and releases that are long gone. With -f it
goes on with what comes.`,
		Example: `  octo logs hello
  octo logs hello -n 20 --since 10m --until 5m
  octo logs hello --ps web.1 --grep panic
  octo logs hello --ps router --release v3
  octo logs hello --request-id 019ab4a5-7b4e-7c4e-9d0f-3a1c5b2e7f60
  octo logs -a hello -f`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	c.add(cmd, "lines")
	f := cmd.Flags()
	f.StringVar(&c.until, "until", "", "only what came earlier, written as with --since")
	f.StringVar(&c.process, "ps", "", "only of a process (web), of one instance (web.1), of the router or of octohost")
	f.StringVar(&c.source, "source", "", "only of app, router or octohost")
	f.StringVar(&c.release, "release", "", "only of one release (v3)")
	f.StringVar(&c.request, "request-id", "", "only about one request: its router line, and lines that name its id")
	f.StringVar(&c.text, "grep", "", "only lines that contain this text")
	s.completeFlag(cmd, "source", cobra.FixedCompletions([]cobra.Completion{string(octo.LogApp), string(octo.LogRouter), string(octo.LogOctohost)}, cobra.ShellCompDirectiveNoFileComp))
	jsonOf[octo.LogLine](cmd, "an object on each line")
	return cmd
}

func (c *logsCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	q, err := c.query(cmd)
	if err != nil {
		return err
	}
	client, name, err := c.s.about(ctx, args)
	if err != nil {
		return err
	}
	return printStream(ctx, c.s, client.Logs(ctx, name, q), c.printer())
}

// query returns what the flags ask for.
func (c *logsCommand) query(cmd *cobra.Command) (octo.LogQuery, error) {
	now := c.s.env.Now()
	last, since, err := c.selected(cmd, now)
	if err != nil {
		return octo.LogQuery{}, err
	}
	q := octo.LogQuery{
		Tail: last, Since: since, Follow: c.follow,
		Source: octo.LogSource(c.source), Process: c.process, Request: c.request, Text: c.text,
	}
	if c.until != "" {
		until, ok := parseSince(c.until, now)
		if !ok {
			return q, usage("write --until 10m, --until 3d or --until 2026-11-22T17:20:00Z", "%.40q is not a time in the past", c.until)
		}
		q.Until = until
	}
	if c.release != "" {
		if q.Release, err = appVersion(c.release); err != nil {
			return q, err
		}
	}
	if err := q.Check(); err != nil {
		return q, usageError{err}
	}
	return q, nil
}

// printStream prints every element of a stream as it comes. One that ends because ctx
// did was interrupted, whichever side has noticed first.
func printStream[T any](ctx context.Context, s *session, seq iter.Seq2[T, error], print func(io.Writer, T) error) error {
	if s.json {
		print = func(w io.Writer, v T) error { return printLine(w, v) }
	}
	for v, err := range seq {
		if err != nil {
			return err
		}
		if err := print(s.env.Out, v); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// logTime is how log lines begin, as with Heroku.
const logTime = "2006-01-02T15:04:05.000000-07:00"

// printer returns a function that prints lines as Heroku does. What an app prints
// reaches a terminal without anything that would steer it; a file gets it as it is.
func (c *logsCommand) printer() func(io.Writer, octo.LogLine) error {
	st, colors := c.s.outStyle(), colored()
	steered := c.s.env.OutTerminal || c.s.inProcess
	return func(w io.Writer, line octo.LogLine) error {
		text := line.Text
		if steered {
			text = cleanColored(text, colors)
		}
		from := clean(line.Name())
		head := line.Time.UTC().Format(logTime) + " " + shownSource(line.Source) + "[" + from + "]:"
		_, err := io.WriteString(w, st.paint(processColor(from), head)+" "+text+"\n")
		return err
	}
}

// shownSource is how lines of a source begin.
func shownSource(s octo.LogSource) string {
	if s == octo.LogRouter || s == octo.LogOctohost {
		return "octo"
	}
	return "app"
}

// processColor gives every instance a colour of its own, as far as they go.
func processColor(name string) color {
	colors := []color{cyan, yellow, green, magenta, blue}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return colors[int(h.Sum32()%uint32(len(colors)))]
}
