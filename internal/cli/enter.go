package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type enterCommand struct {
	s *session
	terminalFlags
}

func newEnterCommand(s *session) *cobra.Command {
	return enterAs(s, "enter", "Run a shell inside of a running instance", `  octo enter hello
  octo enter hello web.1 -- cat /etc/hosts`)
}

func newShellCommand(s *session) *cobra.Command {
	return enterAs(s, "shell", "Do the same as enter", "  octo shell hello")
}

func enterAs(s *session, name, short, example string) *cobra.Command {
	c := &enterCommand{s: s}
	cmd := &cobra.Command{
		Use:   name + " [APP] [INSTANCE] [-- COMMAND]",
		Short: short,
		Long: `Run a shell inside of a running instance, or another program. INSTANCE is web.1 as
octo ps shows it, web for the first of that process, or a run such as run.k7f3q; without
one it is the first of web. The program ends with the connection; the instance goes on.`,
		Example:           example,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	c.add(cmd)
	return cmd
}

func (c *enterCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	words, command, _ := dashed(cmd, args)
	app, instance, err := c.where(ctx, cmd, words)
	if err != nil {
		return err
	}
	p := octo.Program{Command: command}
	if err := c.over(&p, c.s.env.Console); err != nil {
		return err
	}
	return c.s.attend(ctx, p, func(ctx context.Context, at octo.Attachment) (octo.Exit, error) {
		client, err := c.s.open(ctx)
		if err != nil {
			return octo.Exit{}, err
		}
		return client.Enter(ctx, app, instance, p, at)
	})
}

// where returns the app and the instance that the words before -- name. One with a
// dot is an instance; a single one is a process where something else names the app.
func (c *enterCommand) where(ctx context.Context, cmd *cobra.Command, words []string) (octo.Name, string, error) {
	if len(words) > 2 {
		return "", "", usage("put -- before the program: "+cmd.CommandPath()+" -- "+words[2], "%s takes an app and an instance, not %.40q", cmd.CommandPath(), words[2])
	}
	var named []string
	instance := ""
	for i, w := range words {
		near, err := c.s.anApp(ctx, nil)
		if err != nil {
			return "", "", err
		}
		process := i > 0 || near != "" && string(near) != w
		switch {
		case instance == "" && (strings.Contains(w, ".") || process):
			instance = w
		case named == nil:
			named = []string{w}
		default:
			return "", "", usage("see: "+cmd.CommandPath()+" --help", "%.40q and %.40q are both instances", instance, w)
		}
	}
	app, err := c.s.theApp(ctx, named)
	return app, instance, err
}
