package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
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
	client, name, err := c.s.about(ctx, args)
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
		Short:             "Show all of a release, and why it failed",
		Example:           "  octo releases:info v2 -a hello\n  octo releases:info v2 -a hello --json",
		Args:              exactly(1),
		ValidArgsFunction: s.completeReleases,
		RunE:              c.run,
	}
	jsonOf[releaseInfo](cmd, "an object")
	return cmd
}

func (c *releasesInfoCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	number, err := appVersion(args[0])
	if err != nil {
		return err
	}
	client, name, err := c.s.about(ctx, nil)
	if err != nil {
		return err
	}
	var r releaseInfo
	if r.Release, err = client.Release(ctx, name, number); err != nil {
		return err
	}
	if r.Variables, err = c.variables(ctx, client, name, number); err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(r)
	}
	if err := c.facts(r).write(c.s.env.Out, c.s.outStyle()); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.s.env.Out); err != nil {
		return err
	}
	if err := processFacts(r.Processes).write(c.s.env.Out, c.s.outStyle()); err != nil {
		return err
	}
	return c.failure(r.Failure)
}

// releaseInfo is a release with the names of the variables that it was made with.
type releaseInfo struct {
	octo.Release
	Variables []string `json:"variables"`
}

// variables returns the names of a release's variables; none where its configuration is
// no longer kept.
func (c *releasesInfoCommand) variables(ctx context.Context, client *api.Client, app octo.Name, release int) ([]string, error) {
	view, err := client.Config(ctx, app, octo.ConfigRef{Release: release})
	if err != nil && !errors.Is(err, octo.ErrNotFound) {
		return nil, err
	}
	names := make([]string, len(view.Vars))
	for i, v := range view.Vars {
		names[i] = v.Name
	}
	return names, nil
}

func (c *releasesInfoCommand) facts(r releaseInfo) *table {
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
	if r.Config > 0 {
		t.add("config", octo.ConfigName(r.Config))
		t.add("variables", strings.Join(r.Variables, ", "))
	}
	for _, task := range r.Tasks {
		t.add("runs "+task.Name, strings.Join(task.Command, " "))
	}
	return t
}

// processFacts says what there is to say of the processes of a release.
func processFacts(processes []octo.Process) *table {
	t := &table{}
	for _, p := range processes {
		row := []string{string(p.Name)}
		t.head = []string{"PROCESS"}
		for _, fact := range p.Facts() {
			switch fact[0] {
			case "singleton", "restarts": // said with the count; said by the description
				continue
			case "count":
				if p.Singleton {
					fact[1] += " (singleton)"
				}
			}
			t.head = append(t.head, strings.ToUpper(fact[0]))
			row = append(row, fact[1])
		}
		t.add(row...)
	}
	return t
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
	client, name, err := c.s.about(ctx, nil)
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
