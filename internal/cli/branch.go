package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type appsBranchCommand struct{ s *session }

func newAppsBranchCommand(s *session) *cobra.Command {
	c := &appsBranchCommand{s: s}
	cmd := &cobra.Command{
		Use:   "apps:branch BRANCH",
		Short: "Choose the branch that deploys",
		Long: `Choose the only branch whose pushes deploy an app. "default" is main or master.

Other branches, and tags, are refused.`,
		Example:           "  octo apps:branch staging -a hello\n  octo apps branch default -a hello",
		Args:              exactly(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	jsonOf[octo.AppStatus](cmd, "an object")
	return cmd
}

func (c *appsBranchCommand) run(cmd *cobra.Command, args []string) error {
	branch := args[0]
	if branch == "default" {
		branch = ""
	} else if err := octo.CheckBranch(branch); err != nil {
		return usageError{err}
	}
	client, name, err := c.s.about(cmd.Context(), nil)
	if err != nil {
		return err
	}
	app, err := client.SetBranch(cmd.Context(), name, branch)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(app)
	}
	if branch == "" {
		branch = "main or master"
	}
	_, err = fmt.Fprintf(c.s.env.Out, "%s deploys %s\n", app.Name, branch)
	return err
}
