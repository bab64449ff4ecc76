package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/dotenv"
	"github.com/octohost/octohost/internal/octo"
)

// The formats of environments as text.
const (
	formatDotenv = "dotenv"
	formatJSON   = "json"
)

// maxConfigText is the most that is read of an environment as text, in bytes: escapes
// may make a value several times as long.
const maxConfigText = 8 * octo.MaxConfig

func checkFormat(format string) error {
	if format != formatDotenv && format != formatJSON {
		return usage("give dotenv or json", "--format %.40q is none that is known", format)
	}
	return nil
}

type configImportCommand struct {
	configChange
	format  string
	replace bool
}

func newConfigImportCommand(s *session) *cobra.Command {
	c := &configImportCommand{configChange: configChange{s: s}}
	cmd := &cobra.Command{
		Use:   "config:import FILE|-",
		Short: "Set the environment variables of a file, and roll them out",
		Long: `Set the environment variables of a file, and roll them out in one new release.
- reads stdin. Variables that are not in the file stay as they are;
with --replace they are unset.

The file is dotenv (NAME=value lines) or a JSON object of strings; which is found out.
It is never executed, and nothing in it is expanded.`,
		Example: `  octo config:import .env -a hello
  octo config:import - -a hello --no-restart < .env`,
		Args: exactly(1),
		RunE: c.run,
	}
	cmd.Flags().StringVar(&c.format, "format", "", "dotenv or json, if it must not be found out")
	cmd.Flags().BoolVar(&c.replace, "replace", false, "unset the variables that are not in the file")
	c.flags(cmd)
	return cmd
}

func (c *configImportCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if c.format != "" {
		if err := checkFormat(c.format); err != nil {
			return err
		}
	}
	app, err := c.s.theApp(ctx, nil)
	if err != nil {
		return err
	}
	text, err := c.s.readInput(args[0], maxConfigText)
	if err != nil {
		return err
	}
	parse := dotenv.Parse
	if c.format == formatJSON || c.format == "" && dotenv.IsJSON(text) {
		parse = dotenv.ParseJSON
	}
	values, err := parse(text)
	if err == nil {
		err = values.Check()
	}
	if err != nil {
		return wrongFile(args[0], err)
	}
	if len(values) == 0 {
		c.s.progress("there is no variable in it")
	}
	return c.send(ctx, app, octo.ConfigEdit{Set: values, Replace: c.replace})
}

// wrongFile says in which file something is wrong.
func wrongFile(path string, err error) error {
	var told *octo.Error
	if path == "-" || !errors.As(err, &told) {
		return usageError{err}
	}
	return usage(told.Hint, "%s: %s", path, told.Message)
}

type configExportCommand struct {
	s      *session
	format string
	at     string
}

func newConfigExportCommand(s *session) *cobra.Command {
	c := &configExportCommand{s: s}
	cmd := &cobra.Command{
		Use:   "config:export [APP]",
		Short: "Print the environment variables with their values, to be imported again",
		Long: `Print the environment variables with their values, as dotenv or as JSON.
octo config:import reads both, and loses nothing.

In JSON a value that is not UTF-8 is an object: {"base64": "…"}.`,
		Example: `  octo config:export -a hello > saved.env
  octo config:export -a hello --format json
  octo config:export -a hello --at v2`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	cmd.Flags().StringVar(&c.format, "format", formatDotenv, "dotenv or json")
	cmd.Flags().StringVar(&c.at, "at", "", "those of a release (v12) or of an earlier configuration (c7)")
	cmd.Annotations = map[string]string{hasJSON: "an object of strings"}
	return cmd
}

func (c *configExportCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if err := checkFormat(c.format); err != nil {
		return err
	}
	at, err := octo.ParseConfigRef(c.at)
	if err != nil {
		return usageError{err}
	}
	client, app, err := c.s.about(ctx, args)
	if err != nil {
		return err
	}
	view, err := client.ConfigValues(ctx, app, at)
	if err != nil {
		return err
	}
	text := dotenv.Format(view.Config())
	if c.format == formatJSON || c.s.json {
		if text, err = dotenv.FormatJSON(view.Config()); err != nil {
			return err
		}
	}
	_, err = c.s.env.Out.Write(text)
	return err
}
