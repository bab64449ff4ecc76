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
}

func newLogsCommand(s *session) *cobra.Command {
	c := &logsCommand{s: s}
	cmd := &cobra.Command{
		Use:   "logs [APP]",
		Short: "Show what an app prints",
		Long: `Show what an app prints. The name in brackets is the process and its number;
with -f it goes on across releases.`,
		Example: `  octo logs hello
  octo logs hello -n 20 --since 10m
  octo logs -a hello -f`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	c.add(cmd, "lines")
	jsonOf[octo.LogLine](cmd, "an object on each line")
	return cmd
}

func (c *logsCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	last, since, err := c.selected(cmd, c.s.env.Now())
	if err != nil {
		return err
	}
	name, err := c.s.theApp(ctx, args)
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	lines := client.Logs(ctx, name, octo.LogQuery{Tail: last, Since: since, Follow: c.follow})
	return printStream(ctx, c.s, lines, c.printer())
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
		from := copyName(line.Process, line.Instance)
		head := line.Time.UTC().Format(logTime) + " app[" + from + "]:"
		_, err := io.WriteString(w, st.paint(processColor(from), head)+" "+text+"\n")
		return err
	}
}

// processColor gives every instance a colour of its own, as far as they go.
func processColor(name string) color {
	colors := []color{cyan, yellow, green, magenta, blue}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return colors[int(h.Sum32()%uint32(len(colors)))]
}
