package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type runDetachedCommand struct {
	s *session
	programFlags
	ttl string
}

func newRunDetachedCommand(s *session) *cobra.Command {
	c := &runDetachedCommand{s: s}
	cmd := &cobra.Command{
		Use:   "run:detached [APP] -- COMMAND",
		Short: "Run a program that goes on by itself",
		Long: `Run a program in the image of an app's release as octo run does, without being attached
to it, and print its name. It is ended after 24 hours, or --ttl: from 1m to 7d.`,
		Example: `  octo run:detached hello -- rails runner Import.all
  octo run:detached -a hello --ttl 2h rails runner Import.all`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	s.flagsFirst(cmd)
	c.programFlags.add(cmd)
	cmd.Flags().StringVar(&c.ttl, "ttl", "", "after how long it is ended (default 24h)")
	return cmd
}

func (c *runDetachedCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	app, command, err := c.s.appAndCommand(ctx, cmd, args)
	if err != nil {
		return err
	}
	p, err := c.program(command)
	if err == nil {
		p.TTL, err = parseTTL(c.ttl)
	}
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	run, err := client.Detach(ctx, app, p)
	if err != nil {
		return err
	}
	c.s.progress("see what it prints with: octo run:logs %s -a %s", run.Name, app)
	_, err = fmt.Fprintln(c.s.env.Out, run.Name)
	return err
}

type runListCommand struct{ s *session }

func newRunListCommand(s *session) *cobra.Command {
	c := &runListCommand{s: s}
	cmd := &cobra.Command{
		Use:   "run:list [APP]",
		Short: "List what runs beside the instances of an app",
		Long: `List what runs beside the instances of an app. Detached runs are kept for a day after
their end, the last 20 of each app.`,
		Example:           "  octo run:list hello\n  octo run:list -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.Run](cmd, "a list of objects")
	return cmd
}

func (c *runListCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	client, app, err := c.s.about(ctx, args)
	if err != nil {
		return err
	}
	runs, err := client.Runs(ctx, app)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(runs)
	}
	if len(runs) == 0 {
		c.s.progress("nothing runs beside the instances of %s", app)
		return nil
	}
	t := &table{head: []string{"RUN", "RELEASE", "STATE", "AGE", "ENDS", "USER", "COMMAND"}}
	for _, r := range runs {
		t.addCells(cell{text: r.Name}, cell{text: version(r.Release)}, runCell(r), cell{text: age(c.s.env.Now(), r.Started)},
			cell{text: c.ends(r)}, cell{text: r.User}, cell{text: clean(r.Command)})
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// ends says when a run ends, or did.
func (c *runListCommand) ends(r octo.Run) string {
	if r.State == octo.RunEnded {
		return ago(c.s.env.Now(), r.Ended)
	}
	return "in " + age(r.Expires, c.s.env.Now())
}

func runCell(r octo.Run) cell {
	switch {
	case r.State != octo.RunEnded && r.Attached:
		return cell{text: "attached", color: green}
	case r.State != octo.RunEnded:
		return cell{text: "running", color: green}
	case r.ExitCode != 0:
		return cell{text: "exit code " + strconv.Itoa(r.ExitCode), color: red}
	}
	return cell{text: "ended", color: dim}
}

type runStopCommand struct{ s *session }

func newRunStopCommand(s *session) *cobra.Command {
	c := &runStopCommand{s: s}
	return &cobra.Command{
		Use:               "run:stop NAME",
		Short:             "End a run",
		Long:              "End a run: SIGTERM, and SIGKILL when its grace is over. Nothing is kept of it.",
		Example:           "  octo run:stop run.k7f3q -a hello",
		Args:              exactly(1),
		ValidArgsFunction: s.completeRuns,
		RunE:              c.run,
	}
}

func (c *runStopCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	client, app, err := c.s.about(ctx, nil)
	if err != nil {
		return err
	}
	run, err := client.StopRun(ctx, app, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.s.env.Out, "stopped %s\n", run.Name)
	return err
}

type runLogsCommand struct {
	logsCommand
}

func newRunLogsCommand(s *session) *cobra.Command {
	c := &runLogsCommand{logsCommand{s: s}}
	cmd := &cobra.Command{
		Use:               "run:logs NAME",
		Short:             "Show what a detached run prints",
		Example:           "  octo run:logs run.k7f3q -a hello\n  octo run:logs run.k7f3q -a hello -n 20",
		Args:              exactly(1),
		ValidArgsFunction: s.completeRuns,
		RunE:              c.run,
	}
	c.add(cmd, "lines")
	jsonOf[octo.LogLine](cmd, "an object on each line")
	return cmd
}

func (c *runLogsCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	last, since, err := c.selected(cmd, c.s.env.Now())
	if err != nil {
		return err
	}
	client, app, err := c.s.about(ctx, nil)
	if err != nil {
		return err
	}
	lines := client.RunLogs(ctx, app, args[0], octo.LogQuery{Tail: last, Since: since, Follow: c.follow})
	return printStream(ctx, c.s, lines, c.printer())
}
