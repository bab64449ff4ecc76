package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

// remoteEntry is one remembered octohost, as --json prints it.
type remoteEntry struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Default bool   `json:"default"`
}

type remoteCommand struct{ s *session }

func newRemoteCommand(s *session) *cobra.Command {
	c := &remoteCommand{s: s}
	cmd := &cobra.Command{
		Use:               "remote",
		Short:             "List remembered octohosts",
		Example:           "  octo remote\n  octo remote --json",
		Args:              exactly(0),
		ValidArgsFunction: completeWords,
		RunE:              c.run,
	}
	jsonOf[remoteEntry](cmd, "a list of objects")
	return cmd
}

func (c *remoteCommand) run(*cobra.Command, []string) error {
	known, err := c.s.remotes()
	if err != nil {
		return err
	}
	list := []remoteEntry{}
	for _, name := range known.names() {
		list = append(list, remoteEntry{Name: name, URL: known.Remotes[name], Default: name == known.Default})
	}
	if c.s.json {
		return c.s.printJSON(list)
	}
	if len(list) == 0 {
		c.s.progress("no remotes yet; remember one with: octo remote:add NAME ssh://octo@HOST:2222")
		return nil
	}
	t := table{head: []string{"NAME", "URL", "DEFAULT"}}
	for _, r := range list {
		t.add(r.Name, r.URL, yes(r.Default))
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

type remoteAddCommand struct {
	s           *session
	makeDefault bool
}

func newRemoteAddCommand(s *session) *cobra.Command {
	c := &remoteAddCommand{s: s}
	cmd := &cobra.Command{
		Use:   "remote:add NAME URL",
		Short: "Remember an octohost under a name",
		Long: `Remember an octohost under a name, for --host NAME.

The first one becomes the default: commands go there when nothing else says where.`,
		Example: `  octo remote:add prod ssh://octo@box.example:2222
  octo remote:add staging ssh://octo@staging.example --default`,
		Args:              exactly(2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	cmd.Flags().BoolVar(&c.makeDefault, "default", false, "use it when nothing else says where")
	return cmd
}

func (c *remoteAddCommand) run(_ *cobra.Command, args []string) error {
	name, err := octo.ParseName(args[0])
	if err != nil {
		return usageError{err}
	}
	h, err := parseHost(args[1])
	if err != nil {
		return usageError{err}
	}
	known, err := c.s.remotes()
	if err != nil {
		return err
	}
	known.Remotes[string(name)] = h.String()
	if c.makeDefault || known.Default == "" {
		known.Default = string(name)
	}
	if err := c.s.saveRemotes(known); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.s.env.Out, "remembered %s as %s\n", h, name)
	return err
}

type remoteRemoveCommand struct{ s *session }

func newRemoteRemoveCommand(s *session) *cobra.Command {
	c := &remoteRemoveCommand{s: s}
	return &cobra.Command{
		Use:               "remote:remove NAME",
		Short:             "Forget an octohost",
		Example:           "  octo remote:remove prod",
		Args:              exactly(1),
		ValidArgsFunction: s.completeRemotes,
		RunE:              c.run,
	}
}

func (c *remoteRemoveCommand) run(_ *cobra.Command, args []string) error {
	known, err := c.s.remotes()
	if err != nil {
		return err
	}
	if !slices.Contains(known.names(), args[0]) {
		return octo.Errorf(octo.ErrNotFound, "no remote named %.40q", args[0]).WithHint("list them with: octo remote")
	}
	delete(known.Remotes, args[0])
	if known.Default == args[0] {
		known.Default = ""
	}
	if err := c.s.saveRemotes(known); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.s.env.Out, "forgot %s\n", args[0])
	return err
}

// yes returns a mark for true.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
