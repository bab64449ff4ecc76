package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
)

// hostText is a name as people see it: where it has another form in Unicode, both.
func hostText(d octo.Domain) string {
	if d.Unicode == "" {
		return d.Host
	}
	return d.Unicode + " (" + d.Host + ")"
}

// checkHosts refuses what is no name before anything is asked.
func checkHosts(names []string) error {
	for _, name := range names {
		if _, err := hostname.Parse(name); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// maxHosts is how many names a command takes.
const maxHosts = 100

type domainsCommand struct {
	s    *session
	kind octo.DomainKind // that is shown; empty: all
}

func newDomainsCommand(s *session) *cobra.Command {
	c := &domainsCommand{s: s}
	cmd := &cobra.Command{
		Use:   "domains [APP]",
		Short: "List the names of an app",
		Long: `List the names of an app: its own, and those that it was given.

SOURCE says how it came to a name: by default, by hand (manual), or by the CNAME
file of what was pushed last.`,
		Example:           "  octo domains hello\n  octo domains -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.Domain](cmd, "a list of objects")
	return cmd
}

func newRedirectsCommand(s *session) *cobra.Command {
	c := &domainsCommand{s: s, kind: octo.DomainRedirect}
	cmd := &cobra.Command{
		Use:               "redirects [APP]",
		Short:             "List the names of an app that only redirect",
		Example:           "  octo redirects hello\n  octo redirects -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.Domain](cmd, "a list of objects")
	return cmd
}

func (c *domainsCommand) run(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	all, err := client.Domains(cmd.Context(), name)
	if err != nil {
		return err
	}
	list := []octo.Domain{}
	for _, d := range all {
		if c.kind == "" || d.Kind == c.kind {
			list = append(list, d)
		}
	}
	switch {
	case c.s.json:
		return c.s.printJSON(list)
	case len(list) == 0 && c.kind == octo.DomainRedirect:
		c.s.progress("%s has no redirects; add one with: octo redirects:add www.example.com example.com -a %s", name, name)
		return nil
	case len(list) == 0:
		c.s.progress("%s has no names; give it one with: octo domains:add www.example.com -a %s", name, name)
		return nil
	}
	t := table{head: []string{"NAME", "LEADS TO", "SOURCE", "BY", "ADDED"}}
	for _, d := range list {
		t.add(hostText(d), leadsTo(d), string(d.Source), d.By, ago(c.s.env.Now(), d.Added))
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// leadsTo says where visitors of a name arrive.
func leadsTo(d octo.Domain) string {
	if d.Kind == octo.DomainRedirect {
		return fmt.Sprintf("%s (%d)", d.Target, d.Code)
	}
	return "the app"
}

type domainsAddCommand struct{ s *session }

func newDomainsAddCommand(s *session) *cobra.Command {
	c := &domainsAddCommand{s: s}
	cmd := &cobra.Command{
		Use:   "domains:add HOST…",
		Short: "Give an app names",
		Long: `Give an app names at which it answers from now on: all of them, or none when one is refused.

*.example.com stands for every name with exactly one more part, such as
www.example.com; a name that is given itself goes before it. A name that an app has
is refused to all others.`,
		Example: `  octo domains:add www.example.com example.com -a hello
  octo domains add '*.example.com' -a hello
  octo domains:add bücher.example -a hello --json`,
		Args:              between(1, maxHosts),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	jsonOf[octo.Domain](cmd, "a list of objects")
	return cmd
}

func (c *domainsAddCommand) run(cmd *cobra.Command, args []string) error {
	name, err := c.s.theApp(cmd.Context(), nil)
	if err != nil {
		return err
	}
	if err := checkHosts(args); err != nil {
		return err
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	list, err := client.AddDomains(cmd.Context(), name, args)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(list)
	}
	for _, d := range list {
		if _, err := fmt.Fprintf(c.s.env.Out, "%s answers at %s\n", name, clean(hostText(d))); err != nil {
			return err
		}
	}
	c.s.progress("see whether the DNS leads here with: octo domains:check -a %s", name)
	return nil
}

// removal is what the commands have in common that take names of a kind from an app.
type removal struct {
	s    *session
	kind octo.DomainKind
}

func newDomainsRemoveCommand(s *session) *cobra.Command {
	return newRemoval(s, octo.DomainServe, &cobra.Command{
		Use:   "domains:remove HOST…",
		Short: "Take names from an app",
		Long: `Take names from an app: all of them, or none when one is not its own.

One that is in the CNAME file of its repository comes back with the next push.`,
		Example: "  octo domains:remove www.example.net -a hello\n  octo domains remove www.example.net '*.example.net' -a hello --json",
	})
}

func newRedirectsRemoveCommand(s *session) *cobra.Command {
	return newRemoval(s, octo.DomainRedirect, &cobra.Command{
		Use:     "redirects:remove HOST…",
		Short:   "Take names that only redirect from an app",
		Example: "  octo redirects:remove old.example.net -a hello",
	})
}

func newRemoval(s *session, kind octo.DomainKind, cmd *cobra.Command) *cobra.Command {
	c := &removal{s: s, kind: kind}
	cmd.Args, cmd.RunE = between(1, maxHosts), c.run
	cmd.ValidArgsFunction = c.complete
	jsonOf[octo.Domain](cmd, "a list of objects")
	return cmd
}

func newDomainsClearCommand(s *session) *cobra.Command {
	c := &removal{s: s, kind: octo.DomainServe}
	cmd := &cobra.Command{
		Use:               "domains:clear [APP]",
		Short:             "Take all names from an app but its own",
		Long:              "Take all names from an app but its own. Redirects stay.",
		Example:           "  octo domains:clear hello\n  octo domains clear -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.clear,
	}
	jsonOf[octo.Domain](cmd, "a list of objects")
	return cmd
}

func (c *removal) run(cmd *cobra.Command, args []string) error {
	name, err := c.s.theApp(cmd.Context(), nil)
	if err != nil {
		return err
	}
	if err := checkHosts(args); err != nil {
		return err
	}
	return c.report(cmd.Context(), name, func(client *api.Client) ([]octo.Domain, error) {
		return client.RemoveDomains(cmd.Context(), name, c.kind, args)
	})
}

func (c *removal) clear(cmd *cobra.Command, args []string) error {
	name, err := c.s.theApp(cmd.Context(), args)
	if err != nil {
		return err
	}
	return c.report(cmd.Context(), name, func(client *api.Client) ([]octo.Domain, error) {
		return client.ClearDomains(cmd.Context(), name, c.kind)
	})
}

// report takes names away, and says which.
func (c *removal) report(ctx context.Context, name octo.Name, take func(*api.Client) ([]octo.Domain, error)) error {
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	gone, err := take(client)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(gone)
	}
	if len(gone) == 0 {
		c.s.progress("%s has no names but its own", name)
	}
	for _, d := range gone {
		if _, err := fmt.Fprintf(c.s.env.Out, "removed %s\n", clean(hostText(d))); err != nil {
			return err
		}
	}
	return nil
}

// complete proposes the names that can be taken away.
func (c *removal) complete(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return c.s.askOf(cmd, func(ctx context.Context, client *api.Client, name octo.Name) ([]cobra.Completion, error) {
		list, err := client.Domains(ctx, name)
		var hosts []cobra.Completion
		for _, d := range list {
			if d.Kind == c.kind && d.Source != octo.DomainDefault {
				hosts = append(hosts, cobra.CompletionWithDesc(d.Host, clean(d.Unicode)))
			}
		}
		return hosts, err
	})
}

type domainsCheckCommand struct{ s *session }

func newDomainsCheckCommand(s *session) *cobra.Command {
	c := &domainsCheckCommand{s: s}
	cmd := &cobra.Command{
		Use:   "domains:check [APP]",
		Short: "See whether the DNS leads to this octohost",
		Long: `Ask the DNS where the names of an app lead, and say what to change where it is not here.

The octohost asks, not this machine. The exit code is 1 when a name leads elsewhere.`,
		Example:           "  octo domains:check hello\n  octo domains check -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.DomainCheck](cmd, "a list of objects")
	return cmd
}

func (c *domainsCheckCommand) run(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	checks, err := client.CheckDomains(cmd.Context(), name)
	if err != nil {
		return err
	}
	if c.s.json {
		err = c.s.printJSON(checks)
	} else if len(checks) == 0 {
		c.s.progress("%s has no names but its own", name)
	} else {
		err = c.table(checks)
	}
	for _, check := range checks {
		if err == nil && !check.Here {
			err = exitError(exitFailed)
		}
	}
	return err
}

func (c *domainsCheckCommand) table(checks []octo.DomainCheck) error {
	t := table{}
	for _, check := range checks {
		mark := cell{"✓", green}
		if !check.Here {
			mark = cell{"!", yellow}
		}
		t.addCells(mark, cell{text: check.Host}, cell{text: strings.TrimSpace(check.Message)})
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}
