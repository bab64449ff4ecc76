package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type maintenanceCommand struct {
	s       *session
	message string
	retry   time.Duration
	page    string
}

func newMaintenanceCommand(s *session) *cobra.Command {
	c := &maintenanceCommand{s: s}
	cmd := &cobra.Command{
		Use:               "maintenance [APP]",
		Short:             "See whether an app is closed for maintenance",
		Example:           "  octo maintenance hello\n  octo maintenance -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.show,
	}
	jsonOf[octo.MaintenanceStatus](cmd, "an object")
	return cmd
}

func newMaintenanceOnCommand(s *session) *cobra.Command {
	c := &maintenanceCommand{s: s}
	cmd := &cobra.Command{
		Use:   "maintenance:on [APP]",
		Short: "Close an app to its visitors",
		Long: `Close an app to its visitors: from now on they get a page with status 503 that says so.

What runs goes on, and is checked; pushes, commands and redirects work as ever.

A page of your own is a file of HTML that needs nothing from the app; {{request_id}} in
it stands for the id of the visitor's request.`,
		Example: `  octo maintenance:on hello
  octo maintenance on -a hello --message "We are moving. Back at noon." --retry 2h`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.on,
	}
	cmd.Flags().StringVar(&c.message, "message", "", "what visitors are told, as plain text")
	cmd.Flags().StringVar(&c.page, "page", "", "a file with the page that browsers get instead; - is stdin")
	cmd.Flags().DurationVar(&c.retry, "retry", 0, "when programs are asked to come back (default a minute)")
	jsonOf[octo.MaintenanceStatus](cmd, "an object")
	return cmd
}

func newMaintenanceOffCommand(s *session) *cobra.Command {
	c := &maintenanceCommand{s: s}
	cmd := &cobra.Command{
		Use:               "maintenance:off [APP]",
		Short:             "Open an app to its visitors again",
		Example:           "  octo maintenance:off hello\n  octo maintenance off -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.off,
	}
	jsonOf[octo.MaintenanceStatus](cmd, "an object")
	return cmd
}

func (c *maintenanceCommand) show(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	status, err := client.Maintenance(cmd.Context(), name)
	return c.print(status, err)
}

func (c *maintenanceCommand) on(cmd *cobra.Command, args []string) error {
	if c.retry < 0 {
		return usage("for example --retry 2h", "--retry %s lies in the past", c.retry)
	}
	html := ""
	if c.page != "" {
		text, err := c.s.readInput(c.page, octo.MaxPage)
		if errors.Is(err, octo.ErrNotFound) {
			return octo.Errorf(octo.ErrNotFound, "there is no file %.80q", c.page).WithHint("name a file of HTML, or - for stdin")
		}
		if err != nil {
			return err
		}
		if html = string(text); strings.TrimSpace(html) == "" {
			return usage("write one in HTML, or leave --page out", "the page is empty")
		}
	}
	return c.set(cmd, args, &octo.Maintenance{Message: c.message, Retry: octo.Duration(c.retry)}, html)
}

func (c *maintenanceCommand) off(cmd *cobra.Command, args []string) error {
	return c.set(cmd, args, nil, "")
}

func (c *maintenanceCommand) set(cmd *cobra.Command, args []string, m *octo.Maintenance, html string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	status, err := client.SetMaintenance(cmd.Context(), name, m, html)
	return c.print(status, err)
}

func (c *maintenanceCommand) print(status octo.MaintenanceStatus, err error) error {
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(status)
	}
	_, err = fmt.Fprintf(c.s.env.Out, "%s is %s\n", status.App, clean(closedText(status.On, status.Maintenance)))
	return err
}

// closedText says whether an app is closed, and what its visitors are told.
func closedText(on bool, m octo.Maintenance) string {
	switch {
	case !on:
		return "open to its visitors"
	case m.Message == "" && m.Page != "":
		return "closed for maintenance, with a page of its own"
	case m.Message == "":
		return "closed for maintenance"
	}
	return fmt.Sprintf("closed for maintenance: %q", m.Message)
}
