package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

type psCommand struct {
	s   *session
	all bool
}

func newPsCommand(s *session) *cobra.Command {
	c := &psCommand{s: s}
	cmd := &cobra.Command{
		Use:   "ps [APP]",
		Short: "Show what runs",
		Long: `Show what runs: of one app, or of all where none is named. Of one app, what is wanted of
its processes is shown first.

NOTE says what is worth knowing about an instance, and why it failed.`,
		Example:           "  octo ps hello\n  octo ps\n  octo ps --all --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.all, "all", false, "of all apps, also in the directory of one")
	jsonOf[octo.Instance](cmd, "a list of objects")
	return cmd
}

func (c *psCommand) run(cmd *cobra.Command, args []string) error {
	name, err := c.s.someApp(cmd.Context(), args, c.all)
	if err != nil {
		return err
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	instances, err := client.Instances(cmd.Context(), name)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(instances)
	}
	if name != "" {
		if err := c.processes(cmd.Context(), client, name); err != nil {
			return err
		}
	}
	if len(instances) == 0 {
		c.s.progress("nothing runs")
		return nil
	}
	return c.table(instances, name == "").write(c.s.env.Out, c.s.outStyle())
}

// processes prints what is wanted of an app.
func (c *psCommand) processes(ctx context.Context, client *api.Client, name octo.Name) error {
	processes, err := client.Processes(ctx, name)
	if err != nil || len(processes) == 0 {
		return err
	}
	if err := processTable(processes).write(c.s.env.Out, c.s.outStyle()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.s.env.Out)
	return err
}

func (c *psCommand) table(instances []octo.Instance, withApp bool) *table {
	t := &table{head: []string{"INSTANCE", "RELEASE", "STATE", "AGE", "MEMORY", "RESTARTS", "NOTE"}}
	if withApp {
		t.head = append([]string{"APP"}, t.head...)
	}
	for _, in := range instances {
		row := []cell{
			{text: copyName(in.Process, in.ID)},
			{text: version(in.Release)},
			phaseCell(in.Phase),
			{text: c.age(in)},
			{text: size(in.Memory)},
			{text: strconv.Itoa(in.Restarts)},
			{text: note(in)},
		}
		if withApp {
			row = append([]cell{{text: string(in.App)}}, row...)
		}
		t.addCells(row...)
	}
	return t
}

// age returns how long an instance has been running, else how long it has been as it
// is.
func (c *psCommand) age(in octo.Instance) string {
	if in.Phase == octo.PhaseHealthy && !in.Started.IsZero() {
		return age(c.s.env.Now(), in.Started)
	}
	return age(c.s.env.Now(), in.Since)
}

// note returns why an instance is as it is.
func note(in octo.Instance) string {
	switch {
	case in.Note != "" || in.Failure == nil:
		return in.Note
	case in.Phase != octo.PhaseHealthy:
		return in.Failure.Message
	case in.Restarts > 0:
		return fmt.Sprintf("restarted %d x, last: %s", in.Restarts, in.Failure.Message)
	}
	return "" // it has recovered by itself
}

func phaseCell(p octo.Phase) cell {
	c := cell{text: p.String()}
	switch p {
	case octo.PhaseHealthy:
		c.color = green
	case octo.PhaseFailed, octo.PhaseUnhealthy:
		c.color = red
	case octo.PhasePending, octo.PhaseStarting, octo.PhaseDraining:
		c.color = yellow
	case octo.PhaseGone:
		c.color = dim
	}
	return c
}
