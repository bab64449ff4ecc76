package cli

import (
	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type hookCommand struct{ s *session }

// newHookCommand returns the command that git runs during a push. People do not.
func newHookCommand(s *session) *cobra.Command {
	c := &hookCommand{s: s}
	return &cobra.Command{
		Use:                "hook NAME",
		Short:              "What git runs during a push",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE:               c.run,
	}
}

func (c *hookCommand) run(cmd *cobra.Command, args []string) error {
	if c.s.env.Hook == nil {
		return octo.Errorf(octo.ErrUnavailable, "this octo is only a client")
	}
	if code := c.s.env.Hook(cmd.Context(), args, c.s.env.Stdio); code != exitOK {
		return exitError(code)
	}
	return nil
}
