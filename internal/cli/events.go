package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type eventsCommand struct {
	s   *session
	all bool
	streamFlags
}

func newEventsCommand(s *session) *cobra.Command {
	c := &eventsCommand{s: s}
	cmd := &cobra.Command{
		Use:   "events [APP]",
		Short: "Show what happened",
		Long: `Show what happened: to one app, or to all where none is named. Who did it comes
last, in brackets.`,
		Example:           "  octo events\n  octo events hello -n 5\n  octo events -f",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	c.add(cmd, "events")
	cmd.Flags().BoolVar(&c.all, "all", false, "of all apps, also in the directory of one")
	jsonOf[octo.Event](cmd, "an object on each line")
	return cmd
}

func (c *eventsCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	last, since, err := c.selected(cmd, c.s.env.Now())
	if err != nil {
		return err
	}
	name, err := c.s.someApp(ctx, args, c.all)
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	events := client.Events(ctx, octo.EventQuery{App: name, Tail: last, Since: since, Follow: c.follow})
	return printStream(ctx, c.s, events, c.print)
}

func (c *eventsCommand) print(w io.Writer, e octo.Event) error {
	st := c.s.outStyle()
	about := string(e.App)
	if e.Release != 0 {
		about += " " + octo.Version(e.Release)
	}
	by := ""
	if e.User != "" {
		by = " (" + e.User + ")"
	}
	_, err := fmt.Fprintf(w, "%s %s %s %s%s\n", e.Time.UTC().Format(time.RFC3339),
		st.paint(eventColor(e.Kind), fmt.Sprintf("%-15s", clean(string(e.Kind)))), fmt.Sprintf("%-16s", shown(about)),
		clean(e.Message), st.paint(dim, clean(by)))
	return err
}

func eventColor(kind octo.EventKind) color {
	switch kind {
	case octo.EventBuildFailed, octo.EventReleaseFailed, octo.EventInstanceDown, octo.EventInstanceOOM, octo.EventEngineLost:
		return red
	case octo.EventReleaseLive, octo.EventInstanceUp, octo.EventEngineBack:
		return green
	}
	return plain
}
