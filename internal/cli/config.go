package cli

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/dotenv"
	"github.com/octohost/octohost/internal/octo"
)

type configCommand struct {
	s      *session
	reveal bool
}

func newConfigCommand(s *session) *cobra.Command {
	c := &configCommand{s: s}
	cmd := &cobra.Command{
		Use:   "config [APP]",
		Short: "List an app's environment variables",
		Long: `List an app's environment variables, as its next release will have them.

Values are shown with --reveal only, to those who may see them; long ones in part.`,
		Example:           "  octo config -a hello\n  octo config hello --reveal",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.reveal, "reveal", false, "show the values too")
	jsonOf[octo.ConfigVar](cmd, "a list of objects")
	return cmd
}

func (c *configCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	client, name, err := c.s.about(ctx, args)
	if err != nil {
		return err
	}
	ask := client.Config
	if c.reveal {
		ask = client.ConfigValues
	}
	view, err := ask(ctx, name, octo.ConfigRef{})
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(view.Vars)
	}
	if view.Staged {
		c.s.progress("some of it waits for the next release; see what with: octo config:diff -a %s", name)
	}
	if len(view.Vars) == 0 {
		c.s.progress("%s has no variables; set one with: octo config:set NAME=value -a %s", name, name)
		return nil
	}
	return c.print(view)
}

func (c *configCommand) print(view octo.ConfigView) error {
	t := table{head: []string{"NAME", "SIZE"}}
	if c.reveal {
		t.head[1] = "VALUE"
	}
	for _, v := range view.Vars {
		text := bytesOf(v.Size)
		if v.File {
			text += " (a file)"
		}
		if v.Value != nil {
			text = glimpse(*v.Value)
		}
		t.add(v.Name, text)
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// bytesOf returns a small size in words.
func bytesOf(n int) string {
	switch {
	case n == 0:
		return "empty"
	case n == 1:
		return "1 byte"
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	}
	return size(int64(n))
}

// glimpse returns as much of a value as is good to read on one line.
func glimpse(value octo.ConfigValue) string {
	const most = 160
	if len(value) == 0 {
		return "(empty)"
	}
	if !utf8.Valid(value) {
		return fmt.Sprintf("(binary, %s)", bytesOf(len(value)))
	}
	text, more := string(value), ""
	if n := len(text); n > most {
		text, more = strings.ToValidUTF8(text[:most], ""), fmt.Sprintf("… (%s)", bytesOf(n))
	}
	if strings.ContainsAny(text, "\n\r\t") || strings.TrimSpace(text) != text {
		text = strings.ReplaceAll(dotenv.Quote(octo.ConfigValue(text)), "\n", `\n`)
	}
	return text + more
}

type configGetCommand struct{ s *session }

func newConfigGetCommand(s *session) *cobra.Command {
	c := &configGetCommand{s: s}
	cmd := &cobra.Command{
		Use:   "config:get NAME",
		Short: "Show the value of a variable",
		Long: `Show the value of a variable, exactly as it is: into a file or a pipe goes no byte
more or less. On a terminal it ends with a line.`,
		Example:           "  octo config:get GREETING -a hello\n  octo config:get GREETING -a hello > greeting.txt",
		Args:              exactly(1),
		ValidArgsFunction: s.completeVariables,
		RunE:              c.run,
	}
	jsonOf[octo.ConfigVar](cmd, "an object")
	return cmd
}

func (c *configGetCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if err := octo.CheckConfigName(args[0]); err != nil {
		return usageError{err}
	}
	client, name, err := c.s.about(ctx, nil)
	if err != nil {
		return err
	}
	view, err := client.ConfigValues(ctx, name, octo.ConfigRef{})
	if err != nil {
		return err
	}
	for _, v := range view.Vars {
		if v.Name == args[0] && v.Value != nil {
			return c.print(name, v)
		}
	}
	return octo.Errorf(octo.ErrNotFound, "%s has no variable %s", name, args[0]).WithHint("list them with: octo config -a %s", name)
}

func (c *configGetCommand) print(app octo.Name, v octo.ConfigVar) error {
	if c.s.json {
		return c.s.printJSON(v)
	}
	value := *v.Value
	if !c.s.env.OutTerminal {
		_, err := c.s.env.Out.Write(value)
		return err
	}
	if !utf8.Valid(value) {
		return usage(fmt.Sprintf("octo config:get %s -a %s > FILE", v.Name, app), "%s is no text, which a terminal could show", v.Name)
	}
	for line := range strings.Lines(string(value)) {
		if _, err := fmt.Fprintln(c.s.env.Out, clean(strings.TrimRight(line, "\r\n"))); err != nil {
			return err
		}
	}
	return nil
}

// completeVariables proposes the app's variables for every argument.
func (s *session) completeVariables(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return s.askOf(cmd, func(ctx context.Context, client *api.Client, app octo.Name) ([]cobra.Completion, error) {
		view, err := client.Config(ctx, app, octo.ConfigRef{})
		var names []cobra.Completion
		for _, v := range view.Vars {
			names = append(names, v.Name)
		}
		return names, err
	})
}
