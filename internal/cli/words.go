package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Commands are registered under their colon form, "apps:create". joinWords makes
// that of the space form, "apps create", also behind help and for completion, and
// refuses what is no command at all.
func (s *session) joinWords(root *cobra.Command, args []string) ([]string, error) {
	at := nextWord(root, args, 0)
	if at < 0 {
		return args, nil
	}
	if isCompletion(args[at]) && !s.inProcess {
		return s.joinTyped(root, args)
	}
	args = joinAt(root, args, at)
	cmd := lookup(root, args[at])
	if cmd == nil {
		return nil, unknownCommand(root, args[at:])
	}
	if cmd.Name() == "help" {
		if topic := nextWord(root, args, at+1); topic >= 0 {
			args = joinAt(root, args, topic)
		}
	}
	return args, nil
}

func isCompletion(word string) bool {
	return word == cobra.ShellCompRequestCmd || word == cobra.ShellCompNoDescRequestCmd
}

// joinTyped joins the words before the one that is being completed.
func (s *session) joinTyped(root *cobra.Command, args []string) ([]string, error) {
	s.completing = true
	if len(args) < 3 {
		return args, nil
	}
	last := len(args) - 1
	done, err := s.joinWords(root, args[1:last])
	if err != nil { // completion never complains
		done = args[1:last]
	}
	return slices.Concat(args[:1], done, args[last:]), nil
}

// joinAt joins the word at i with the next one, where the two are a command.
func joinAt(root *cobra.Command, args []string, i int) []string {
	next := nextWord(root, args, i+1)
	if next < 0 || lookup(root, args[i]+":"+args[next]) == nil {
		return args
	}
	joined := slices.Clone(args)
	joined[i] += ":" + args[next]
	return slices.Delete(joined, next, next+1)
}

// lookup returns the command of that name, or nil.
func lookup(root *cobra.Command, name string) *cobra.Command {
	for _, cmd := range root.Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	return nil
}

// nextWord returns the index, from i on, of the next argument that is neither a flag
// nor the value of a global one, or -1.
func nextWord(root *cobra.Command, args []string, i int) int {
	for ; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return -1
		case takesValue(root, arg):
			i++
		case len(arg) < 2 || arg[0] != '-':
			return i
		}
	}
	return -1
}

// takesValue reports whether arg is a global flag whose value is the next argument.
func takesValue(root *cobra.Command, arg string) bool {
	flags := root.PersistentFlags()
	if name, long := strings.CutPrefix(arg, "--"); long {
		f := flags.Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	}
	if len(arg) != 2 || arg[0] != '-' {
		return false
	}
	f := flags.ShorthandLookup(arg[1:])
	return f != nil && f.NoOptDefVal == ""
}

// unknownCommand is the answer to words that are no command, with the nearest one
// that is.
func unknownCommand(root *cobra.Command, words []string) error {
	name := words[0]
	near := root.SuggestionsFor(name)
	if len(words) > 1 {
		near = append(near, root.SuggestionsFor(name+":"+words[1])...)
	}
	for _, cmd := range root.Commands() {
		if strings.HasSuffix(cmd.Name(), ":"+name) && !cmd.Hidden {
			near = append(near, cmd.Name())
		}
	}
	slices.Sort(near)
	hint := "see what there is with: octo help"
	if near = slices.Compact(near); len(near) > 0 {
		hint = "did you mean: octo " + strings.Join(near, ", octo ")
	}
	return usage(hint, "there is no command %.40q", name)
}
