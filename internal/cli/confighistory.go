package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

type configHistoryCommand struct{ s *session }

func newConfigHistoryCommand(s *session) *cobra.Command {
	c := &configHistoryCommand{s: s}
	cmd := &cobra.Command{
		Use:   "config:history [APP]",
		Short: "List the versions of an app's environment, newest first",
		Long: `List the versions of an app's environment, newest first: c1, c2 and so on, and the
releases that were made with each. Kept are those of kept releases, and the last 50.`,
		Example:           "  octo config:history -a hello\n  octo config:history hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.ConfigVersion](cmd, "a list of objects")
	return cmd
}

func (c *configHistoryCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	client, name, err := c.s.about(ctx, args)
	if err != nil {
		return err
	}
	versions, err := client.ConfigHistory(ctx, name)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(versions)
	}
	if len(versions) == 0 {
		c.s.progress("%s has never had variables; set one with: octo config:set NAME=value -a %s", name, name)
		return nil
	}
	t := table{head: []string{"CONFIG", "RELEASES", "BY", "AGE", "DESCRIPTION"}}
	for _, v := range versions {
		mark := octo.ConfigName(v.Number)
		if v.Current {
			mark += " (current)"
		}
		t.add(mark, ranges(v.Releases), v.Author, age(c.s.env.Now(), v.Created), v.Description)
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// ranges returns ascending release numbers in short: "v1, v3-v5".
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		part := octo.Version(numbers[i])
		if last > i {
			part += "-" + octo.Version(numbers[last])
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ", ")
}

type configDiffCommand struct {
	s      *session
	reveal bool
}

func newConfigDiffCommand(s *session) *cobra.Command {
	c := &configDiffCommand{s: s}
	cmd := &cobra.Command{
		Use:   "config:diff [FROM [TO]]",
		Short: "Show how two configurations differ",
		Long: `Show how two configurations differ: those of releases (v12), or versions by their own
number (c7) as in octo config:history. Without TO, FROM is compared with what the next
release will have; without both, so is the current release.

Values are shown with --reveal only, to those who may see them.`,
		Example:           "  octo config:diff v1 v2 -a hello\n  octo config:diff -a hello\n  octo config:diff c0 -a hello --reveal",
		Args:              atMost(2),
		ValidArgsFunction: s.completeConfigs,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.reveal, "reveal", false, "show the values too")
	jsonOf[octo.ConfigDiff](cmd, "a list of objects")
	return cmd
}

func (c *configDiffCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	var refs [2]octo.ConfigRef
	for i, arg := range args {
		var err error
		if refs[i], err = octo.ParseConfigRef(arg); err != nil {
			return usageError{err}
		}
	}
	client, name, err := c.s.about(ctx, nil)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		app, err := client.App(ctx, name)
		if err != nil {
			return err
		}
		refs[0] = octo.ConfigRef{Release: app.Release, Version: new(int)}
	}
	diff, err := c.diff(ctx, client, name, refs)
	if err != nil {
		return err
	}
	return c.print(diff)
}

// diff asks how they differ, or for their values where those are to be shown.
func (c *configDiffCommand) diff(ctx context.Context, client *api.Client, app octo.Name, refs [2]octo.ConfigRef) ([]octo.ConfigDiff, error) {
	if !c.reveal {
		return client.ConfigDiff(ctx, app, refs[0], refs[1])
	}
	from, err := client.ConfigValues(ctx, app, refs[0])
	if err != nil {
		return nil, err
	}
	to, err := client.ConfigValues(ctx, app, refs[1])
	if err != nil {
		return nil, err
	}
	return octo.DiffConfig(from.Config(), to.Config(), true), nil
}

func (c *configDiffCommand) print(diff []octo.ConfigDiff) error {
	if c.s.json {
		return c.s.printJSON(diff)
	}
	if len(diff) == 0 {
		c.s.progress("they are the same")
		return nil
	}
	st := c.s.outStyle()
	line := func(paint color, sign, name string, value *octo.ConfigValue) string {
		text := sign + " " + name
		if value != nil {
			text += "=" + shown(glimpse(*value))
		}
		return st.paint(paint, text) + "\n"
	}
	var b strings.Builder
	for _, d := range diff {
		switch {
		case d.Change == octo.ConfigChanged && d.Old == nil:
			b.WriteString(line(yellow, "~", d.Name, nil))
		default:
			if d.Change != octo.ConfigAdded {
				b.WriteString(line(red, "-", d.Name, d.Old))
			}
			if d.Change != octo.ConfigRemoved {
				b.WriteString(line(green, "+", d.Name, d.New))
			}
		}
	}
	_, err := fmt.Fprint(c.s.env.Out, b.String())
	return err
}

// completeConfigs proposes configurations.
func (s *session) completeConfigs(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.askOf(cmd, func(ctx context.Context, client *api.Client, app octo.Name) ([]cobra.Completion, error) {
		versions, err := client.ConfigHistory(ctx, app)
		var names []cobra.Completion
		for _, v := range versions {
			names = append(names, cobra.CompletionWithDesc(octo.ConfigName(v.Number), clean(v.Description)))
			for _, r := range slices.Backward(v.Releases) {
				names = append(names, cobra.CompletionWithDesc(octo.Version(r), octo.ConfigName(v.Number)))
			}
		}
		return names, err
	})
}
