package git

import (
	"fmt"
	"slices"
	"strings"
)

const branchPrefix = "refs/heads/"

// verdict is the answer about one ref; without a reason it is granted.
type verdict struct{ ref, reason string }

// judge gives a verdict on every command, and the index of the one that deploys,
// which is granted as far as the rules go, or -1. An empty branch means main or
// master.
func judge(branch string, req request) ([]verdict, int) {
	chosen := choose(branch, req.commands)
	verdicts := make([]verdict, len(req.commands))
	for i, c := range req.commands {
		verdicts[i].ref = c.ref
		if i != chosen {
			verdicts[i].reason = refusal(branch, c)
		}
	}
	if chosen >= 0 && req.atomic && len(req.commands) > 1 {
		verdicts[chosen].reason = "nothing of an atomic push is deployed when a part of it is refused"
		return verdicts, -1
	}
	return verdicts, chosen
}

// refuseAll refuses everything for one reason.
func refuseAll(req request, reason string) []verdict {
	verdicts := make([]verdict, len(req.commands))
	for i, c := range req.commands {
		verdicts[i] = verdict{c.ref, reason}
	}
	return verdicts
}

// choose returns the index of the command that deploys, or -1. Main wins over
// master.
func choose(branch string, commands []command) int {
	for _, name := range deploying(branch) {
		i := slices.IndexFunc(commands, func(c command) bool {
			return c.ref == branchPrefix+name && !isZero(c.new)
		})
		if i >= 0 {
			return i
		}
	}
	return -1
}

func deploying(branch string) []string {
	if branch != "" {
		return []string{branch}
	}
	return []string{"main", "master"}
}

// refusal says why a ref is not accepted, and what to type instead.
func refusal(branch string, c command) string {
	name, isBranch := strings.CutPrefix(c.ref, branchPrefix)
	instead := "git push octo HEAD:" + deploying(branch)[0]
	switch {
	case isZero(c.new) && isBranch:
		return "branches cannot be deleted here; to remove the app: octo apps:destroy"
	case isZero(c.new):
		return "nothing can be deleted here"
	case strings.HasPrefix(c.ref, "refs/tags/"):
		return "tags do not deploy; push the commit: " + instead
	case !isBranch:
		return "only branches deploy; push the commit: " + instead
	case slices.Contains(deploying(branch), name):
		return "one branch deploys at a time, and this push has another one"
	}
	return fmt.Sprintf("only %s deploys; to deploy this commit: %s", strings.Join(deploying(branch), " or "), instead)
}
