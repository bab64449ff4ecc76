package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

// configChange is what the commands have in common that change an environment.
type configChange struct {
	s     *session
	stage bool
}

// flags adds the flags of a change to a command.
func (c *configChange) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.stage, "no-restart", false, "keep it for the next release")
	jsonOf[octo.ConfigResult](cmd, "an object")
}

// send asks for the change and says what came of it.
func (c *configChange) send(ctx context.Context, app octo.Name, edit octo.ConfigEdit) error {
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	edit.Stage = c.stage
	result, err := client.ChangeConfig(ctx, app, edit, c.s.progressWriter())
	if err != nil {
		if ctx.Err() != nil {
			c.s.progress("what was begun goes on; see: octo releases -a %s", app)
		}
		return err
	}
	if c.s.json {
		return c.s.printJSON(result)
	}
	changes := octo.ConfigChange{Set: result.Set, Unset: result.Unset}.String()
	if changes == "" {
		return nil // which the progress has said
	}
	_, err = fmt.Fprintf(c.s.env.Out, "%s (%s)\n", changes, octo.ConfigName(result.Version))
	return err
}

type configSetCommand struct {
	configChange
	raw bool
}

func newConfigSetCommand(s *session) *cobra.Command {
	c := &configSetCommand{configChange: configChange{s: s}}
	cmd := &cobra.Command{
		Use:   "config:set NAME=VALUE…",
		Short: "Set environment variables, and roll them out",
		Long: `Set environment variables, and roll them out: all of them in one new release.

NAME=@FILE takes the value from a file and NAME=- from stdin, byte for byte; on a
terminal NAME=- asks for it without showing it. So a secret need not be in the history
of the shell and the list of processes. With --raw, @ and - are nothing special.`,
		Example: `  octo config:set GREETING=hello COLOUR=red -a hello
  octo config:set TOKEN=- -a hello < token.txt
  octo config:set CERTIFICATE=@token.txt -a hello --no-restart`,
		Args:              between(1, octo.MaxConfigNames),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.raw, "raw", false, "take values as they are written, also those that begin with @ or are -")
	c.flags(cmd)
	return cmd
}

func (c *configSetCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	sources, err := c.assignments(args)
	if err != nil {
		return err
	}
	app, err := c.s.theApp(ctx, nil)
	if err != nil {
		return err
	}
	values := octo.Config{}
	for _, each := range sources {
		if values[each.name], err = c.value(ctx, each); err != nil {
			return err
		}
	}
	if err := values.Check(); err != nil {
		return usageError{err}
	}
	return c.send(ctx, app, octo.ConfigEdit{Set: values})
}

// assignment is NAME=TEXT as it was typed.
type assignment struct{ name, text string }

// assignments takes the arguments apart. What it complains of never tells a value.
func (c *configSetCommand) assignments(args []string) ([]assignment, error) {
	var all []assignment
	seen, stdin := map[string]bool{}, ""
	for i, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		switch err := octo.CheckConfigName(name); {
		case !ok:
			return nil, usage("write NAME=value; quote it if it has spaces: GREETING='hello world'", "there is no = in argument %d", i+1)
		case err != nil:
			return nil, usageError{err}
		case seen[name]:
			return nil, usage("leave one of them out", "%s is given twice", name)
		case text == "-" && !c.raw && stdin != "":
			return nil, usage("give one of them with @FILE", "both %s and %s are to come from stdin", stdin, name)
		case text == "-" && !c.raw:
			stdin = name
		}
		seen[name] = true
		all = append(all, assignment{name, text})
	}
	return all, nil
}

// value finds the value that is meant.
func (c *configSetCommand) value(ctx context.Context, a assignment) (octo.ConfigValue, error) {
	path, isFile := strings.CutPrefix(a.text, "@")
	switch {
	case c.raw:
	case a.text == "-" && c.s.env.InTerminal:
		return c.s.askSecret(ctx, a.name)
	case a.text == "-":
		value, err := c.s.readInput("-", octo.MaxConfig)
		c.adviseOnNewline(a.name, value)
		return value, err
	case isFile:
		value, err := c.s.readInput(path, octo.MaxConfig)
		c.adviseOnNewline(a.name, value)
		return value, err
	}
	return octo.ConfigValue(a.text), nil
}

// adviseOnNewline tells of a line feed that somebody may not have meant: that behind
// a single line.
func (c *configSetCommand) adviseOnNewline(name string, value []byte) {
	if text := string(value); strings.Count(text, "\n") == 1 && strings.HasSuffix(text, "\n") {
		c.s.progress("note: the value of %s ends with a line feed, which is kept (printf %%s writes none)", name)
	}
}

type configUnsetCommand struct{ configChange }

func newConfigUnsetCommand(s *session) *cobra.Command {
	c := &configUnsetCommand{configChange{s: s}}
	cmd := &cobra.Command{
		Use:               "config:unset NAME…",
		Short:             "Remove environment variables, and roll that out",
		Example:           "  octo config:unset GREETING COLOUR -a hello\n  octo config:unset GREETING -a hello --no-restart",
		Args:              between(1, octo.MaxConfigNames),
		ValidArgsFunction: s.completeVariables,
		RunE:              c.run,
	}
	c.flags(cmd)
	return cmd
}

func (c *configUnsetCommand) run(cmd *cobra.Command, args []string) error {
	for _, name := range args {
		if strings.Contains(name, "=") {
			return usage("give the name only", "config:unset takes names, without a value")
		}
		if err := octo.CheckConfigName(name); err != nil {
			return usageError{err}
		}
	}
	app, err := c.s.theApp(cmd.Context(), nil)
	if err != nil {
		return err
	}
	return c.send(cmd.Context(), app, octo.ConfigEdit{Unset: args})
}
