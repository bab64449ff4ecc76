package cli

import (
	"github.com/spf13/cobra"
)

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print completions for a shell",
		Long: `Print completions for a shell: commands, flags, and the names of apps, releases
and keys, which are asked from the octohost while you type.

bash: add this to ~/.bashrc (needs the package bash-completion):
        source <(octo completion bash)
zsh:  octo completion zsh > "${fpath[1]}/_octo"
fish: octo completion fish > ~/.config/fish/completions/octo.fish`,
		Example:   "  octo completion bash",
		Args:      exactly(1),
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return usage("there are bash, zsh and fish", "there are no completions for %.40q", args[0])
		},
	}
}
