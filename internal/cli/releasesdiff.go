package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

type releasesDiffCommand struct{ s *session }

func newReleasesDiffCommand(s *session) *cobra.Command {
	c := &releasesDiffCommand{s: s}
	cmd := &cobra.Command{
		Use:   "releases:diff [FROM [TO]]",
		Short: "Show how two releases differ",
		Long: `Show how two releases differ: commits, processes, limits, checks, and the names of
environment variables. Without TO, FROM is compared with the current release; without
both, so is the one before.`,
		Example:           "  octo releases:diff v1 v2 -a hello\n  octo releases:diff v1 -a hello\n  octo releases diff -a hello --json",
		Args:              atMost(2),
		ValidArgsFunction: s.completeReleases,
		RunE:              c.run,
	}
	jsonOf[octo.ReleaseDiff](cmd, "an object")
	return cmd
}

func (c *releasesDiffCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	var numbers [2]int
	for i, arg := range args {
		var err error
		if numbers[i], err = appVersion(arg); err != nil {
			return err
		}
	}
	client, name, err := c.s.about(ctx, nil)
	if err != nil {
		return err
	}
	if err := c.complete(ctx, client, name, &numbers); err != nil {
		return err
	}
	diff, err := client.DiffReleases(ctx, name, numbers[0], numbers[1])
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(diff)
	}
	return c.print(diff)
}

// complete puts the current release, and the one before it, in where none is given.
func (c *releasesDiffCommand) complete(ctx context.Context, client *api.Client, name octo.Name, numbers *[2]int) error {
	if numbers[1] == 0 {
		app, err := client.App(ctx, name)
		if err != nil {
			return err
		}
		if app.Release == 0 {
			return octo.Errorf(octo.ErrNotFound, "%s has no current release", name).WithHint("see what there is with: octo releases -a %s", name)
		}
		numbers[1] = app.Release
	}
	if numbers[0] == 0 {
		releases, err := client.Releases(ctx, name)
		if err != nil {
			return err
		}
		for _, r := range releases {
			if r.Number < numbers[1] && r.Outcome == octo.Live {
				numbers[0] = r.Number
				return nil
			}
		}
		return octo.Errorf(octo.ErrNotFound, "nothing was live before %s", octo.Version(numbers[1])).WithHint("see what there is with: octo releases -a %s", name)
	}
	return nil
}

func (c *releasesDiffCommand) print(d octo.ReleaseDiff) error {
	if len(d.Added)+len(d.Removed)+len(d.Settings)+len(d.Config) == 0 {
		c.s.progress("%s and %s are the same", octo.Version(d.From), octo.Version(d.To))
		return nil
	}
	st := c.s.outStyle()
	var b strings.Builder
	for _, commit := range d.Added {
		fmt.Fprintf(&b, "%s %s %s\n", st.paint(green, "+"), short(commit.ID), clean(commit.Subject))
	}
	for _, commit := range d.Removed {
		fmt.Fprintf(&b, "%s %s %s\n", st.paint(red, "-"), short(commit.ID), clean(commit.Subject))
	}
	if d.More {
		b.WriteString("  … and more commits\n")
	}
	if _, err := c.s.env.Out.Write([]byte(b.String())); err != nil {
		return err
	}
	t := &table{head: []string{"OF", "WHAT", octo.Version(d.From), octo.Version(d.To)}}
	for _, s := range d.Settings {
		old, now := s.Old, s.New
		if s.What == "commit" {
			old, now = short(old), short(now)
		}
		if s.What == "image" {
			old, now = shortImage(old), shortImage(now)
		}
		t.add(s.Of, s.What, old, now)
	}
	for _, v := range d.Config {
		t.add("variable", v.Name, map[octo.ConfigHow]string{octo.ConfigAdded: "none", octo.ConfigChanged: "set", octo.ConfigRemoved: "set"}[v.Change],
			map[octo.ConfigHow]string{octo.ConfigAdded: "set", octo.ConfigChanged: "changed", octo.ConfigRemoved: "none"}[v.Change])
	}
	return t.write(c.s.env.Out, st)
}

// shortImage is the beginning of an image's id, as Docker prints it.
func shortImage(id string) string {
	const digits = 12
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(len(id), digits)]
}
