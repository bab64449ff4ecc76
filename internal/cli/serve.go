package cli

import (
	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type serveCommand struct {
	s     *session
	flags ServeFlags
}

func newServeCommand(s *session) *cobra.Command {
	c := &serveCommand{s: s}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Be an octohost",
		Long: `Be an octohost, until interrupted. Containers go on when it ends, and are taken up
again when it is back.

Flags go over OCTO_* variables, which go over the configuration file.`,
		Example: `  octo serve
  octo serve --data /srv/octo --http :80 --ssh :2222 --domain example.org --authorize ~/.ssh/id_ed25519.pub`,
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&c.flags.Data, "data", "", "the directory of all that must survive (default /var/lib/octohost)")
	flags.StringVar(&c.flags.HTTP, "http", "", "host:port where sites are served")
	flags.StringVar(&c.flags.SSH, "ssh", "", "host:port for git push and remote commands")
	flags.StringVar(&c.flags.Domain, "domain", "", "apps answer at APP.domain")
	flags.StringVar(&c.flags.Authorize, "authorize", "", "a file of public keys to admit; the first one becomes admin")
	flags.StringVar(&c.flags.Config, "config", "", "the configuration file, TOML")
	return cmd
}

func (c *serveCommand) run(cmd *cobra.Command, _ []string) error {
	if c.s.env.Serve == nil {
		return octo.Errorf(octo.ErrUnavailable, "this octo is only a client").WithHint("run octo serve on a Linux machine")
	}
	c.s.serving = true
	return c.s.env.Serve(cmd.Context(), c.flags)
}
