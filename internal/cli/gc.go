package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type gcCommand struct {
	s        *session
	dry, all bool
}

func newGCCommand(s *session) *cobra.Command {
	c := &gcCommand{s: s}
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what nothing needs any more",
		Long: `Remove what nothing needs any more: images that are too old to go back to, what a
crash has left, releases beyond the last 500 of an app, and what the build cache has
too much. It happens by itself, too: every hour, and when the disk is nearly full.

Sizes are the most that may be gained, for images share parts with each other.`,
		Example:           "  octo gc --dry-run\n  octo gc\n  octo gc --all --json",
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.dry, "dry-run", false, "only say what would go")
	cmd.Flags().BoolVar(&c.all, "all", false, "also what can be made again: the build cache, and all images but those that run")
	jsonOf[octo.Garbage](cmd, "a list of objects")
	return cmd
}

func (c *gcCommand) run(cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	ask := client.Collect
	if c.dry {
		ask = client.Garbage
	}
	list, err := ask(ctx, c.all)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(list)
	}
	return c.print(list)
}

func (c *gcCommand) print(list []octo.Garbage) error {
	var bytes int64
	stay := 0
	t := table{head: []string{"KIND", "APP", "NAME", "SIZE", "WHY"}}
	for _, g := range list {
		why := cell{text: g.Why}
		if g.Error != "" {
			why = cell{"stays: " + g.Error, yellow}
			stay++
		} else {
			bytes += g.Bytes
		}
		t.addCells(cell{text: string(g.Kind)}, cell{text: string(g.App)}, cell{text: g.Name}, cell{text: size(g.Bytes)}, why)
	}
	if len(list) > 0 {
		if err := t.write(c.s.env.Out, c.s.outStyle()); err != nil {
			return err
		}
	}
	done := "removed"
	if c.dry {
		done = "would remove"
	}
	gain := ""
	if bytes > 0 {
		gain = fmt.Sprintf(", at most %s", size(bytes))
	}
	c.s.progress("%s %s%s", done, plural(len(list)-stay, "thing"), gain)
	return nil
}
