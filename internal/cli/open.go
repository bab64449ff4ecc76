package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type openCommand struct{ s *session }

func newOpenCommand(s *session) *cobra.Command {
	c := &openCommand{s: s}
	return &cobra.Command{
		Use:               "open [APP]",
		Short:             "Print an app's URL, and show it in the browser",
		Long:              "Print an app's URL. On a terminal with a browser it is shown there too.",
		Example:           "  octo open hello\n  octo open -a hello",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
}

func (c *openCommand) run(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	app, err := client.App(cmd.Context(), name)
	if err != nil {
		return err
	}
	if app.URL == "" {
		return octo.Errorf(octo.ErrUnavailable, "%s has no URL yet", name).WithHint("push to it with: git push octo main")
	}
	if _, err := fmt.Fprintln(c.s.env.Out, clean(app.URL)); err != nil {
		return err
	}
	if c.s.env.OpenBrowser == nil || !c.s.env.OutTerminal || c.s.inProcess {
		return nil
	}
	if u, err := url.Parse(app.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return octo.Errorf(octo.ErrInvalid, "that is not the URL of a site, so no browser gets it")
	}
	return c.s.env.OpenBrowser(cmd.Context(), app.URL)
}
