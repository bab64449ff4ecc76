package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// accessCommand is every command about who may do what with an app: they differ in
// what they change, and print who may do what then.
type accessCommand struct {
	s      *session
	change func(ctx context.Context, client *api.Client, app octo.Name, args []string) ([]octo.Grant, error)
	done   func(app octo.Name, args []string) string
}

func (c *accessCommand) run(cmd *cobra.Command, args []string) error {
	app, err := c.s.theApp(cmd.Context(), nil)
	if err != nil {
		return err
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	grants, err := c.change(cmd.Context(), client, app, args)
	if err != nil {
		return err
	}
	if c.done != nil && len(args) > 0 {
		c.warn(grants, args[0])
	}
	if c.s.json {
		return c.s.printJSON(grants)
	}
	if c.done != nil {
		_, err := fmt.Fprintln(c.s.env.Out, c.done(app, args))
		return err
	}
	t := table{head: []string{"USER", "ROLE", "KEYS"}}
	for _, g := range grants {
		t.add(g.User, string(g.Role), strconv.Itoa(g.Keys))
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// warn says that somebody has a role who cannot come in yet.
func (c *accessCommand) warn(grants []octo.Grant, user string) {
	for _, g := range grants {
		if g.User == user && g.Keys == 0 {
			c.s.progress("warning: %s has no key yet, so nobody can come in under that name; an admin adds one with: octo keys:add FILE --user %s", user, user)
		}
	}
}

func newAccessCommand(s *session) *cobra.Command {
	c := &accessCommand{s: s}
	c.change = func(ctx context.Context, client *api.Client, app octo.Name, _ []string) ([]octo.Grant, error) {
		return client.Access(ctx, app)
	}
	cmd := &cobra.Command{
		Use:   "access",
		Short: "List who may do what with an app",
		Long: `List who may do what with an app. An owner may do everything with it, a deployer all
but destroy it or say who may do what, a viewer look. Admins may do everything.`,
		Example:           "  octo access -a hello\n  octo access -a hello --json",
		Args:              exactly(0),
		ValidArgsFunction: completeWords,
		RunE:              c.run,
	}
	jsonOf[octo.Grant](cmd, "a list of objects")
	return cmd
}

func newAccessAddCommand(s *session) *cobra.Command {
	c := &accessCommand{s: s}
	c.change = func(ctx context.Context, client *api.Client, app octo.Name, args []string) ([]octo.Grant, error) {
		role, err := octo.ParseRole(args[1])
		if err != nil {
			return nil, usageError{err}
		}
		return client.SetRole(ctx, app, args[0], role)
	}
	c.done = func(app octo.Name, args []string) string {
		return fmt.Sprintf("%s is %s of %s", args[0], octo.Role(args[1]).Article(), app)
	}
	cmd := &cobra.Command{
		Use:   "access:add USER owner|deployer|viewer",
		Short: "Let somebody work on an app",
		Long: `Let somebody work on an app, or change what they may do. An owner may do everything
with it; a deployer push, configure, scale and run; a viewer look, but not at the values
of its configuration.`,
		Example:           "  octo access:add bob deployer -a hello\n  octo access add carol viewer -a hello",
		Args:              exactly(2),
		ValidArgsFunction: completeRoles,
		RunE:              c.run,
	}
	jsonOf[octo.Grant](cmd, "a list of objects")
	return cmd
}

// completeRoles proposes roles for the second argument.
func completeRoles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var roles []cobra.Completion
	if len(args) == 1 {
		for _, r := range octo.Roles() {
			roles = append(roles, string(r))
		}
	}
	return roles, cobra.ShellCompDirectiveNoFileComp
}

func newAccessRemoveCommand(s *session) *cobra.Command {
	c := &accessCommand{s: s}
	c.change = func(ctx context.Context, client *api.Client, app octo.Name, args []string) ([]octo.Grant, error) {
		return client.SetRole(ctx, app, args[0], "")
	}
	c.done = func(app octo.Name, args []string) string {
		return fmt.Sprintf("%s has no role on %s any more", args[0], app)
	}
	cmd := &cobra.Command{
		Use:               "access:remove USER",
		Short:             "Let somebody work on an app no longer",
		Example:           "  octo access:remove carol -a hello",
		Args:              exactly(1),
		ValidArgsFunction: s.completeGranted,
		RunE:              c.run,
	}
	jsonOf[octo.Grant](cmd, "a list of objects")
	return cmd
}

func newAccessTransferCommand(s *session) *cobra.Command {
	c := &accessCommand{s: s}
	c.change = func(ctx context.Context, client *api.Client, app octo.Name, args []string) ([]octo.Grant, error) {
		return client.Transfer(ctx, app, args[0])
	}
	c.done = func(app octo.Name, args []string) string { return fmt.Sprintf("%s belongs to %s", app, args[0]) }
	cmd := &cobra.Command{
		Use:               "access:transfer USER",
		Short:             "Make an app somebody else's",
		Long:              "Make an app somebody else's. Whoever owned it stays a deployer; see octo access:remove.",
		Example:           "  octo access:transfer bob -a hello",
		Args:              exactly(1),
		ValidArgsFunction: s.completeGranted,
		RunE:              c.run,
	}
	jsonOf[octo.Grant](cmd, "a list of objects")
	return cmd
}

// completeGranted proposes those who have a role on the app.
func (s *session) completeGranted(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.askOf(cmd, func(ctx context.Context, client *api.Client, app octo.Name) ([]cobra.Completion, error) {
		grants, err := client.Access(ctx, app)
		var users []cobra.Completion
		for _, g := range grants {
			if g.Role != octo.RoleOwner {
				users = append(users, cobra.CompletionWithDesc(g.User, string(g.Role)))
			}
		}
		return users, err
	})
}

type usersCommand struct{ s *session }

func newUsersCommand(s *session) *cobra.Command {
	c := &usersCommand{s: s}
	cmd := &cobra.Command{
		Use:   "users",
		Short: "List everybody: their keys, apps and roles",
		Long: `List everybody who has a key or a role. Somebody without a key cannot come in, but
whoever gets one under that name has the roles: take them away with octo access:remove.`,
		Example:           "  octo users\n  octo users --json",
		Args:              exactly(0),
		ValidArgsFunction: completeWords,
		RunE:              c.run,
	}
	jsonOf[octo.User](cmd, "a list of objects")
	return cmd
}

func (c *usersCommand) run(cmd *cobra.Command, _ []string) error {
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	users, err := client.Users(cmd.Context())
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(users)
	}
	t := table{head: []string{"USER", "ADMIN", "KEYS", "OWNS", "ROLES"}}
	for _, u := range users {
		var owns, roles []string
		for _, app := range u.Owns {
			owns = append(owns, string(app))
		}
		for _, app := range slices.Sorted(maps.Keys(u.Roles)) {
			roles = append(roles, fmt.Sprintf("%s:%s", app, u.Roles[app]))
		}
		t.add(u.Name, yes(u.Admin), strconv.Itoa(u.Keys), strings.Join(owns, " "), strings.Join(roles, " "))
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}
