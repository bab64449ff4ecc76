package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// completer proposes what may be typed next. Shells filter by what is typed already.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// completionPatience is how long a person is kept waiting after pressing tab.
const completionPatience = 2 * time.Second

// completeFlag proposes values for a flag. Not for those who came over SSH: cobra
// would remember the flags of every session as long as the daemon lives.
func (s *session) completeFlag(cmd *cobra.Command, flag string, complete completer) {
	if s.inProcess {
		return
	}
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag's name is misspelt above
	}
}

// ask proposes what list returns, or nothing when octohost does not answer quickly.
func (s *session) ask(cmd *cobra.Command, list func(context.Context, *api.Client) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	client, err := s.open(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, err := list(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// askOf is ask about the app that is meant.
func (s *session) askOf(cmd *cobra.Command, list func(context.Context, *api.Client, octo.Name) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	return s.ask(cmd, func(ctx context.Context, client *api.Client) ([]cobra.Completion, error) {
		app, err := s.theApp(ctx, nil)
		if err != nil {
			return nil, err
		}
		return list(ctx, client, app)
	})
}

// completeApps proposes the names of apps.
func (s *session) completeApps(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return s.ask(cmd, func(ctx context.Context, client *api.Client) ([]cobra.Completion, error) {
		apps, err := client.Apps(ctx)
		var names []cobra.Completion
		for _, app := range apps {
			names = append(names, string(app.Name))
		}
		return names, err
	})
}

// completeApp proposes an app for the only argument, along with the words that make
// another command of this one: "apps <tab>" may become "apps create".
func (s *session) completeApp(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, directive := s.completeApps(cmd, args, typed)
	words, _ := completeWords(cmd, args, typed)
	return append(words, found...), directive
}

// completeReleases proposes the releases of the app.
func (s *session) completeReleases(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, directive := s.askOf(cmd, func(ctx context.Context, client *api.Client, app octo.Name) ([]cobra.Completion, error) {
		releases, err := client.Releases(ctx, app)
		var names []cobra.Completion
		for _, r := range releases {
			names = append(names, cobra.CompletionWithDesc(r.Version(), clean(r.Description)))
		}
		return names, err
	})
	words, _ := completeWords(cmd, args, typed)
	return append(words, found...), directive | cobra.ShellCompDirectiveKeepOrder
}

// completeKeys proposes fingerprints.
func (s *session) completeKeys(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.ask(cmd, func(ctx context.Context, client *api.Client) ([]cobra.Completion, error) {
		keys, err := client.Keys(ctx)
		var prints []cobra.Completion
		for _, k := range keys {
			prints = append(prints, cobra.CompletionWithDesc(k.Fingerprint, clean(k.User+" "+k.Comment)))
		}
		return prints, err
	})
}

// completeRuns proposes the names of runs of the app.
func (s *session) completeRuns(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.askOf(cmd, func(ctx context.Context, client *api.Client, app octo.Name) ([]cobra.Completion, error) {
		runs, err := client.Runs(ctx, app)
		var names []cobra.Completion
		for _, r := range runs {
			names = append(names, cobra.CompletionWithDesc(r.Name, clean(r.Command)))
		}
		return names, err
	})
}

// completeRemotes proposes the names of remembered remotes.
func (s *session) completeRemotes(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	known, err := s.remotes()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return known.names(), cobra.ShellCompDirectiveNoFileComp
}

// completeWords proposes the second words of commands: "apps <tab>".
func completeWords(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var words []cobra.Completion
	if len(args) == 0 {
		for _, name := range subcommands(cmd) {
			words = append(words, strings.TrimPrefix(name, cmd.Name()+":"))
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeColons proposes nothing more than the commands, which cobra has.
func completeColons(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeAllCommands proposes the topics of help.
func completeAllCommands(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	if len(args) == 0 {
		for _, other := range cmd.Root().Commands() {
			if other.IsAvailableCommand() {
				names = append(names, cobra.CompletionWithDesc(other.Name(), other.Short))
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// appVersion returns the number in "v3" or "3".
func appVersion(text string) (int, error) {
	n, ok := releaseNumber(text)
	if !ok {
		return 0, usage("list them with: octo releases", "%.40q is not a release", text)
	}
	return n, nil
}

// releaseNumber reads a release's name.
func releaseNumber(text string) (int, bool) {
	digits := strings.TrimPrefix(text, "v")
	n := 0
	for _, r := range digits {
		if r < '0' || r > '9' || n > 1_000_000 {
			return 0, false
		}
		n = n*10 + int(r-'0')
	}
	return n, n > 0 && octo.Version(n) == "v"+digits
}
