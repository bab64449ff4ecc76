package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
)

// versions are what octo version knows, as --json prints it.
type versions struct {
	Client   string     `json:"client,omitempty"`
	Platform string     `json:"platform,omitempty"`
	Go       string     `json:"go,omitempty"`
	Server   *api.About `json:"server,omitempty"`
}

type versionCommand struct {
	s      *session
	server bool
}

func newVersionCommand(s *session) *cobra.Command {
	c := &versionCommand{s: s}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version of this program; with --server also that of the octohost it
talks to, and whom that takes you for.`,
		Example:           "  octo version\n  octo version --server --json",
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.server, "server", s.inProcess, "ask the octohost too")
	jsonOf[versions](cmd, "an object")
	return cmd
}

func (c *versionCommand) run(cmd *cobra.Command, _ []string) error {
	var v versions
	if !c.s.inProcess {
		v = versions{Client: c.s.env.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	}
	if c.server {
		client, err := c.s.open(cmd.Context())
		if err != nil {
			return err
		}
		about, err := client.About(cmd.Context())
		if err != nil {
			return err
		}
		v.Server = &about
	}
	if c.s.json {
		return c.s.printJSON(v)
	}
	return c.print(v)
}

func (c *versionCommand) print(v versions) error {
	if v.Client != "" {
		if _, err := fmt.Fprintf(c.s.env.Out, "octo %s (%s, %s)\n", v.Client, v.Platform, v.Go); err != nil {
			return err
		}
	}
	if v.Server == nil {
		return nil
	}
	as := ""
	if v.Server.Admin {
		as = ", an admin"
	}
	_, err := fmt.Fprintf(c.s.env.Out, "octohost %s (you are %s%s)\n", clean(v.Server.Version), clean(v.Server.User), as)
	return err
}
