package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
)

type redirectsAddCommand struct {
	s    *session
	code int
}

func newRedirectsAddCommand(s *session) *cobra.Command {
	c := &redirectsAddCommand{s: s}
	cmd := &cobra.Command{
		Use:   "redirects:add HOST TARGET",
		Short: "Send the visitors of a name elsewhere",
		Long: `Send the visitors of a name elsewhere. Path and query stay, and so do scheme and port
unless TARGET names them. The name belongs to the app, as with octo domains:add.

Codes: 308 (the default) and 301 for good, 307 and 302 for now. 307 and 308 keep the
method and the body of the request.`,
		Example: `  octo redirects:add www.example.com example.com -a hello
  octo redirects add old.example.com https://new.example.com --code 302 -a hello
  octo redirects:add hello.example.test example.com -a hello --json`,
		Args:              exactly(2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	cmd.Flags().IntVar(&c.code, "code", 308, "the status: 301, 302, 307 or 308")
	jsonOf[octo.Domain](cmd, "an object")
	return cmd
}

func (c *redirectsAddCommand) run(cmd *cobra.Command, args []string) error {
	name, err := c.s.theApp(cmd.Context(), nil)
	if err != nil {
		return err
	}
	if err := checkHosts(args[:1]); err != nil {
		return err
	}
	if _, err := hostname.ParseTarget(args[1]); err != nil {
		return usageError{err}
	}
	if c.code != 301 && c.code != 302 && c.code != 307 && c.code != 308 {
		return usage("use 301 or 308 for good, 302 or 307 for now", "--code %d is no code of a redirect", c.code)
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	d, err := client.Redirect(cmd.Context(), name, args[0], args[1], c.code)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(d)
	}
	_, err = fmt.Fprintf(c.s.env.Out, "%s leads to %s\n", clean(hostText(d)), leadsTo(d))
	return err
}
