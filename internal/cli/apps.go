package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type appsCommand struct{ s *session }

func newAppsCommand(s *session) *cobra.Command {
	c := &appsCommand{s: s}
	cmd := &cobra.Command{
		Use:               "apps",
		Short:             "List your apps",
		Example:           "  octo apps\n  octo apps --json",
		Args:              exactly(0),
		ValidArgsFunction: completeWords,
		RunE:              c.run,
	}
	jsonOf[octo.AppStatus](cmd, "a list of objects")
	return cmd
}

func (c *appsCommand) run(cmd *cobra.Command, _ []string) error {
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	apps, err := client.Apps(cmd.Context())
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(apps)
	}
	if len(apps) == 0 {
		c.s.progress("no apps yet; create one with: octo apps:create NAME")
		return nil
	}
	t := table{head: []string{"NAME", "STATE", "INSTANCES", "RELEASE", "URL"}}
	for _, app := range apps {
		t.addCells(cell{text: string(app.Name)}, stateCell(app.State), cell{text: counted(app)}, cell{text: version(app.Release)}, cell{text: app.URL})
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// counted returns how many of the wanted instances are healthy: "1/2".
func counted(app octo.AppStatus) string { return fmt.Sprintf("%d/%d", app.Healthy, app.Instances) }

func stateCell(state octo.AppState) cell {
	c := cell{text: string(state)}
	switch state {
	case octo.StateUp:
		c.color = green
	case octo.StateDeploying, octo.StateDegraded, octo.StateDestroying:
		c.color = yellow
	case octo.StateDown:
		c.color = red
	}
	return c
}

type appsCreateCommand struct{ s *session }

func newAppsCreateCommand(s *session) *cobra.Command {
	c := &appsCreateCommand{s: s}
	cmd := &cobra.Command{
		Use:   "apps:create NAME",
		Short: "Create an app",
		Long: `Create an app. It is yours, and answers once something was pushed to it.

Pushing to a name that is free creates the app too.`,
		Example: `  octo apps:create my-site
  octo apps create my-api --json`,
		Args:              exactly(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	jsonOf[octo.AppStatus](cmd, "an object")
	return cmd
}

func (c *appsCreateCommand) run(cmd *cobra.Command, args []string) error {
	name, err := octo.ParseName(args[0])
	if err != nil {
		return usageError{err}
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	app, err := client.CreateApp(cmd.Context(), name)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(app)
	}
	if _, err := fmt.Fprintf(c.s.env.Out, "created %s\n", app.Name); err != nil {
		return err
	}
	c.s.progress("push to it with:\n  git remote add octo %s\n  git push octo main", clean(app.GitURL))
	return nil
}

type appsInfoCommand struct{ s *session }

func newAppsInfoCommand(s *session) *cobra.Command {
	c := &appsInfoCommand{s: s}
	cmd := &cobra.Command{
		Use:               "apps:info [APP]",
		Short:             "Show an app",
		Example:           "  octo apps:info hello\n  octo apps:info -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.AppStatus](cmd, "an object")
	return cmd
}

func (c *appsInfoCommand) run(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	app, err := client.App(cmd.Context(), name)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(app)
	}
	t := table{}
	t.addCells(cell{text: "name"}, cell{string(app.Name), bold})
	t.addCells(cell{text: "state"}, stateCell(app.State))
	t.add("instances", counted(app)+" healthy")
	t.add("release", version(app.Release))
	if app.Live != app.Release {
		t.add("live", version(app.Live))
	}
	t.add("url", app.URL)
	t.add("git", app.GitURL)
	if len(app.Domains) > 0 {
		t.add("domains", strings.Join(app.Domains, " "))
	}
	if app.Maintenance != nil {
		t.add("visitors", closedText(true, *app.Maintenance))
	}
	if app.Edge != (octo.Edge{}) {
		t.add("proxy", proxyText(app.Edge))
	}
	if app.Branch != "" {
		t.add("branch", app.Branch)
	}
	t.add("owner", app.Owner)
	t.add("created", moment(c.s.env.Now(), app.Created))
	return t.write(c.s.env.Out, c.s.outStyle())
}

type appsDestroyCommand struct {
	s       *session
	confirm string
}

func newAppsDestroyCommand(s *session) *cobra.Command {
	c := &appsDestroyCommand{s: s}
	cmd := &cobra.Command{
		Use:   "apps:destroy [APP]",
		Short: "Remove an app and all that is of it",
		Long: `Remove an app and all that is of it: containers, images, repository, releases, logs.

There is no way back. The name must be given once more, at the question or with --confirm.`,
		Example: `  octo apps:destroy old-site --confirm old-site
  octo apps:destroy -a older-site --confirm older-site`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	cmd.Flags().StringVar(&c.confirm, "confirm", "", "the app's name, to say that this is meant")
	return cmd
}

func (c *appsDestroyCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	name, err := c.s.theApp(ctx, args)
	if err != nil {
		return err
	}
	if err := c.confirmed(ctx, name); err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	if err := client.DestroyApp(ctx, name, c.s.progressWriter()); err != nil {
		if ctx.Err() != nil {
			c.s.progress("what was begun goes on; see: octo apps")
		}
		return err
	}
	_, err = fmt.Fprintf(c.s.env.Out, "destroyed %s\n", name)
	return err
}

// confirmed makes sure that the person means this app.
func (c *appsDestroyCommand) confirmed(ctx context.Context, name octo.Name) error {
	hint := fmt.Sprintf("octo apps:destroy %s --confirm %s", name, name)
	answer := c.confirm
	if answer == "" {
		if !c.s.env.InTerminal {
			return usage(hint, "destroying %s must be confirmed", name)
		}
		var err error
		c.s.question("This removes %s and all that is of it. Type its name to go on: ", name)
		if answer, err = readLine(ctx, c.s.env.In); err != nil {
			return err
		}
	}
	if answer != string(name) {
		return usage(hint, "nothing was destroyed: %.40q is not %s", answer, name)
	}
	return nil
}

// question writes to stderr, without ending the line.
func (s *session) question(format string, args ...any) {
	_, _ = fmt.Fprintf(s.env.Err, format, args...) // who cannot see it will not answer it
}

// readLine reads an answer, unless ctx ends first.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() { // nothing ends a read from a terminal; the process does
		line, err := bufio.NewReader(r).ReadString('\n')
		got <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-got:
		if a.err != nil && a.line == "" {
			return "", fmt.Errorf("read the answer: %w", a.err)
		}
		return a.line, nil
	}
}
