package docs_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/cli"
)

// octo runs a command line in this process, and returns what it prints.
func octo(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	code := cli.Run(t.Context(), args, cli.Env{Stdio: cli.Stdio{Out: &out, Err: &problems}})
	require.Zero(t, code, "octo %v: %s", args, problems.String())
	return out.String()
}

// helpLine is a command in the help: two spaces, its name, what it does.
var helpLine = regexp.MustCompile(`(?m)^  ([a-z][a-z:]*) +[A-Z]`)

// commands returns the names of all commands that people type.
func commands(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range helpLine.FindAllStringSubmatch(octo(t, "help"), -1) {
		names = append(names, m[1])
	}
	require.Greater(t, len(names), 10)
	return names
}

// said finds octo and the words behind it, where it is a command: at the beginning,
// or behind a prompt or another command.
var said = regexp.MustCompile(`(?m)(?:^|\(|[$#;&|] |sudo |do )octo ((?:--?[a-z]+ \S+ )*)([a-z][a-z:]+)(?: ([a-z]+))?`)

// overSSH finds the words behind ssh octo@HOST.
var overSSH = regexp.MustCompile(`\bssh (?:-\S+ \S+ )*octo@\S+ ([a-z][a-z:]+)(?: ([a-z]+))?`)

// codeSpan finds code within a line of prose.
var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// code returns all code of a page: blocks, and spans in prose.
func (p page) code() []string {
	var all []string
	for _, part := range p.parts() {
		if part.code {
			all = append(all, part.text)
			continue
		}
		for _, m := range codeSpan.FindAllStringSubmatch(part.text, -1) {
			all = append(all, m[1])
		}
	}
	return all
}

func TestCommands_Exist(t *testing.T) {
	names := commands(t)
	found := map[string]bool{}
	check := func(p page, word, next string) {
		found[word] = true
		if !slices.Contains(names, word) && !slices.Contains(names, word+":"+next) {
			t.Errorf("%s: there is no command octo %s", p.name, word)
		}
	}
	for _, p := range pages(t) {
		for _, code := range p.code() {
			for _, m := range said.FindAllStringSubmatch(code, -1) {
				if m[2] != "hook" && m[2] != "a:b" { // what git runs, and what stands for any
					check(p, m[2], m[3])
				}
			}
			for _, m := range overSSH.FindAllStringSubmatch(code, -1) {
				check(p, m[1], m[2])
			}
		}
	}
	require.Greater(t, len(found), 18, "few commands are found: is the pattern right?")
}

func TestCommands_HaveTheirLine(t *testing.T) {
	text := read(t, "docs/cli.md")
	for _, name := range commands(t) {
		if !strings.Contains(text, "\n| `octo "+name+"` ") && !strings.Contains(text, "\n| `octo "+name+" ") {
			t.Errorf("docs/cli.md has no row for octo %s", name)
		}
	}
}

// fields finds the list of fields in the help of a command that knows --json.
var fields = regexp.MustCompile(`(?s)with the fields (.*?)\. Empty`)

func TestJSON_HasItsFields(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `octo .*\\|$").FindAllString(read(t, "docs/cli.md"), -1)
	row := func(command string) string {
		i := slices.IndexFunc(rows, func(r string) bool {
			return strings.Contains(r, "`octo "+command+"`") && (strings.Contains(r, "list") || strings.Contains(r, "object")) && strings.Count(r, "`") > 4
		})
		if i < 0 {
			return ""
		}
		return rows[i]
	}
	for _, name := range commands(t) {
		m := fields.FindStringSubmatch(octo(t, "help", name))
		if m == nil || name == "apps" || name == "releases" { // those point to the row of one
			continue
		}
		for field := range strings.SplitSeq(strings.Join(strings.Fields(m[1]), " "), ", ") {
			require.Contains(t, row(name), "`"+field+"`", "docs/cli.md: a field of octo %s --json", name)
		}
	}
}
