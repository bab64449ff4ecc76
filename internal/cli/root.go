package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// family is a group of commands in the help.
type family struct {
	id, title string
	commands  []*cobra.Command
}

// families returns every command that there is in this session. What reaches beyond
// the API is not there for those who came over SSH.
func families(s *session) []family {
	apps := family{id: "apps", title: "Apps:", commands: []*cobra.Command{
		newAppsCommand(s), newAppsBranchCommand(s), newAppsCreateCommand(s), newAppsInfoCommand(s), newAppsDestroyCommand(s),
		newPsCommand(s), newLogsCommand(s), newEventsCommand(s), newOpenCommand(s),
	}}
	processes := family{id: "processes", title: "Processes:", commands: []*cobra.Command{
		newPsScaleCommand(s), newPsRestartCommand(s), newPsStopCommand(s), newPsStartCommand(s),
		newLimitsCommand(s), newLimitsSetCommand(s), newLimitsUnsetCommand(s),
	}}
	releases := family{id: "releases", title: "Releases:", commands: []*cobra.Command{
		newReleasesCommand(s), newReleasesInfoCommand(s), newReleasesDiffCommand(s), newRollbackCommand(s),
	}}
	config := family{id: "config", title: "Configuration:", commands: []*cobra.Command{
		newConfigCommand(s), newConfigGetCommand(s), newConfigSetCommand(s), newConfigUnsetCommand(s),
		newConfigImportCommand(s), newConfigExportCommand(s), newConfigHistoryCommand(s), newConfigDiffCommand(s),
	}}
	runs := family{id: "runs", title: "Programs:", commands: []*cobra.Command{
		newRunCommand(s), newRunDetachedCommand(s), newRunListCommand(s), newRunLogsCommand(s), newRunStopCommand(s),
		newEnterCommand(s), newShellCommand(s),
	}}
	domains := family{id: "domains", title: "Domains:", commands: []*cobra.Command{
		newDomainsCommand(s), newDomainsAddCommand(s), newDomainsRemoveCommand(s), newDomainsClearCommand(s), newDomainsCheckCommand(s),
		newRedirectsCommand(s), newRedirectsAddCommand(s), newRedirectsRemoveCommand(s),
		newMaintenanceCommand(s), newMaintenanceOnCommand(s), newMaintenanceOffCommand(s), newProxyCommand(s), newProxySetCommand(s),
	}}
	access := family{id: "access", title: "Access:", commands: []*cobra.Command{
		newAccessCommand(s), newAccessAddCommand(s), newAccessRemoveCommand(s), newAccessTransferCommand(s),
		newKeysCommand(s), newKeysAddCommand(s), newKeysInfoCommand(s), newKeysRemoveCommand(s), newUsersCommand(s), newWhoamiCommand(s), newAuditCommand(s),
	}}
	machine := family{id: "machine", title: "The machine:", commands: []*cobra.Command{newDoctorCommand(s), newGCCommand(s)}}
	this := family{id: "this", title: "This program:", commands: []*cobra.Command{newVersionCommand(s)}}
	if !s.inProcess {
		config.commands = append(config.commands, newConfigEditCommand(s))
		access.commands = append(access.commands, newRemoteCommand(s), newRemoteAddCommand(s), newRemoteRemoveCommand(s))
		machine.commands = append(machine.commands, newServeCommand(s), newHookCommand(s))
		this.commands = append(this.commands, newCompletionCommand())
	}
	return []family{apps, processes, config, releases, runs, domains, access, machine, this}
}

func newRootCommand(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "octo",
		Short: "git push makes a site live, on machines of your own",
		Long: `octo is your own Heroku: git push makes a site live, on machines of your own.

Commands work with a colon or a space: octo apps:create is octo apps create.
The app is taken from -a, or from the git remote of the current directory.`,
		Example: `  octo apps:create hello
  octo logs -a hello
  octo help apps:create`,
		Version:                    s.env.Version,
		Args:                       cobra.ArbitraryArgs,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE:          s.checkJSON,
	}
	root.SetIn(s.env.In)
	root.SetOut(s.env.Out)
	root.SetErr(s.env.Err)
	root.SetVersionTemplate("octo {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("see: "+cmd.CommandPath()+" --help", "%v", err)
	})
	globalFlags(s, root)
	for _, f := range families(s) {
		root.AddGroup(&cobra.Group{ID: f.id, Title: f.title})
		for _, cmd := range f.commands {
			cmd.GroupID = f.id
			root.AddCommand(cmd)
		}
	}
	root.SetHelpCommandGroupID("this")
	root.SetHelpCommand(newHelpCommand(root))
	root.InitDefaultHelpCmd()
	root.ValidArgsFunction = completeColons
	return root
}

func globalFlags(s *session, root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&s.app, "app", "a", "", "the app")
	flags.BoolVar(&s.json, "json", false, "print JSON for programs")
	flags.BoolVar(&s.noColor, "no-color", false, "never use colours (also: NO_COLOR)")
	s.completeFlag(root, "app", s.completeApps)
	if s.inProcess {
		return
	}
	flags.StringVar(&s.host, "host", "", "the octohost: ssh://octo@HOST:2222, or a remembered remote (also: OCTO_HOST)")
	flags.StringVar(&s.socket, "socket", "", "the socket of an octohost on this machine (also: OCTO_SOCKET)")
	s.completeFlag(root, "host", s.completeRemotes)
}

// newHelpCommand returns "octo help", which explains a command.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		GroupID: "this",
		Example: `  octo help
  octo help apps:create
  octo help apps create`,
		ValidArgsFunction: completeAllCommands,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			cmd := lookup(root, args[0])
			if cmd == nil || len(args) > 1 {
				return unknownCommand(root, []string{strings.Join(args, ":")})
			}
			cmd.InitDefaultHelpFlag() // as --help would, which says the same
			return cmd.Help()
		},
	}
}

// atMost checks that a command got no more than n arguments, and says what else may
// have been meant.
func atMost(n int) cobra.PositionalArgs {
	return between(0, n)
}

// exactly checks that a command got n arguments.
func exactly(n int) cobra.PositionalArgs {
	return between(n, n)
}

func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage("see: "+cmd.CommandPath()+" --help", "something is missing: octo %s", cmd.Use)
		case len(args) <= most:
			return nil
		}
		hint := "see: " + cmd.CommandPath() + " --help"
		if subs := subcommands(cmd); len(subs) > 0 {
			hint = "did you mean: octo " + strings.Join(subs, ", octo ")
		}
		return usage(hint, "%s takes no argument %.40q", cmd.CommandPath(), args[most])
	}
}

// subcommands returns the names of the commands "cmd:…".
func subcommands(cmd *cobra.Command) []string {
	var names []string
	for _, other := range cmd.Root().Commands() {
		if strings.HasPrefix(other.Name(), cmd.Name()+":") {
			names = append(names, other.Name())
		}
	}
	slices.Sort(names)
	return names
}

// progress writes a line for the person to stderr. That it cannot be written is no
// reason to fail.
func (s *session) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(s.env.Err, format+"\n", args...)
}
