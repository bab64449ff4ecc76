package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type releasesCommand struct{ s *session }

func newReleasesCommand(s *session) *cobra.Command {
	c := &releasesCommand{s: s}
	cmd := &cobra.Command{
		Use:               "releases [APP]",
		Short:             "List an app's releases, newest first",
		Example:           "  octo releases hello\n  octo releases -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.Release](cmd, "a list of objects")
	return cmd
}

func (c *releasesCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	name, err := c.s.theApp(ctx, args)
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	releases, err := client.Releases(ctx, name)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(releases)
	}
	if len(releases) == 0 {
		c.s.progress("%s has no releases yet; make one with: git push", name)
		return nil
	}
	app, err := client.App(ctx, name)
	if err != nil {
		return err
	}
	t := table{head: []string{"RELEASE", "OUTCOME", "COMMIT", "BY", "AGE", "DESCRIPTION"}}
	for _, r := range releases {
		mark := r.Version()
		if r.Number == app.Release {
			mark += " (current)"
		}
		t.addCells(cell{text: mark}, outcomeCell(r.Outcome), cell{short(r.Commit), dim}, cell{text: r.Author},
			cell{text: age(c.s.env.Now(), r.Created)}, cell{text: r.Description})
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

func outcomeCell(outcome octo.Outcome) cell {
	switch outcome {
	case octo.Pending:
		return cell{"rolling out", yellow}
	case octo.Live:
		return cell{string(outcome), green}
	case octo.Failed:
		return cell{string(outcome), red}
	}
	return cell{string(outcome), dim}
}

type releasesInfoCommand struct{ s *session }

func newReleasesInfoCommand(s *session) *cobra.Command {
	c := &releasesInfoCommand{s: s}
	cmd := &cobra.Command{
		Use:               "releases:info vN",
		Short:             "Show a release, and why it failed",
		Example:           "  octo releases:info v2 -a hello\n  octo releases:info v2 -a hello --json",
		Args:              exactly(1),
		ValidArgsFunction: s.completeReleases,
		RunE:              c.run,
	}
	jsonOf[octo.Release](cmd, "an object")
	return cmd
}

func (c *releasesInfoCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	number, err := appVersion(args[0])
	if err != nil {
		return err
	}
	name, err := c.s.theApp(ctx, nil)
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	r, err := client.Release(ctx, name, number)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(r)
	}
	if err := c.facts(r).write(c.s.env.Out, c.s.outStyle()); err != nil {
		return err
	}
	return c.failure(r.Failure)
}

func (c *releasesInfoCommand) facts(r octo.Release) *table {
	t, now := &table{}, c.s.env.Now()
	t.addCells(cell{text: "release"}, cell{string(r.App) + " " + r.Version(), bold})
	t.addCells(cell{text: "outcome"}, outcomeCell(r.Outcome))
	t.add("description", r.Description)
	t.add("by", r.Author)
	t.add("created", moment(now, r.Created))
	if !r.Settled.IsZero() {
		t.add("settled", moment(now, r.Settled))
	}
	t.add("commit", r.Commit)
	t.add("image", r.Image)
	for _, p := range r.Processes {
		t.add(string(p.Name), describe(p))
	}
	return t
}

// describe sums up a process of a release.
func describe(p octo.Process) string {
	parts := []string{fmt.Sprintf("%d × %s", p.Count, size(p.Memory))}
	if p.Port != 0 {
		parts = append(parts, fmt.Sprintf("port %d", p.Port), "check "+p.Check.Path)
	}
	if len(p.Command) > 0 {
		parts = append(parts, strings.Join(p.Command, " "))
	}
	return strings.Join(parts, ", ")
}

// failure prints why a release failed, where it did.
func (c *releasesInfoCommand) failure(why *octo.Failure) error {
	if why == nil {
		return nil
	}
	var b strings.Builder
	st := c.s.outStyle()
	fmt.Fprintf(&b, "\n%s %s\n", st.paint(red, string(why.Kind)+":"), clean(why.Message))
	if why.Hint != "" {
		fmt.Fprintf(&b, "%s\n", clean(why.Hint))
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"health check", why.Transcript}, {"last lines of its log", why.Logs}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", st.paint(bold, part.title+":"))
		for _, line := range part.lines {
			fmt.Fprintf(&b, "  %s\n", clean(line))
		}
	}
	_, err := c.s.env.Out.Write([]byte(b.String()))
	return err
}

type rollbackCommand struct{ s *session }

func newRollbackCommand(s *session) *cobra.Command {
	c := &rollbackCommand{s: s}
	return &cobra.Command{
		Use:   "rollback [vN]",
		Short: "Return to an earlier release",
		Long: `Return to an earlier release: vN, or the last one that was live before the current.

This makes a new release of what that one had, and waits until it is live.`,
		Example:           "  octo rollback -a hello\n  octo rollback v1 -a hello",
		Args:              atMost(1),
		ValidArgsFunction: s.completeReleases,
		RunE:              c.run,
	}
}

func (c *rollbackCommand) run(cmd *cobra.Command, args []string) error {
	ctx, to := cmd.Context(), 0
	if len(args) > 0 {
		var err error
		if to, err = appVersion(args[0]); err != nil {
			return err
		}
	}
	name, err := c.s.theApp(ctx, nil)
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	if err := client.Rollback(ctx, name, to, c.s.progressWriter()); err != nil {
		if ctx.Err() != nil {
			c.s.progress("what was begun goes on; see: octo releases -a %s", name)
		}
		return err
	}
	app, err := client.App(ctx, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.s.env.Out, "%s %s is live at %s\n", name, version(app.Release), clean(app.URL))
	return err
}
