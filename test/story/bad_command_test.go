package story_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commands returns every command that the help names.
func (w *world) commands() []string {
	w.t.Helper()
	var names []string
	for line := range strings.Lines(w.octo("help").ok()) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "  ") && len(fields) > 1 && !strings.HasPrefix(fields[0], "-") && fields[0] != "octo" {
			names = append(names, fields[0])
		}
	}
	require.Greater(w.t, len(names), 20)
	return names
}

// examples returns the examples in the help of a command.
func (w *world) examples(command string) []string {
	w.t.Helper()
	help := w.octo("help", command).ok()
	_, text, found := strings.Cut(help, "Examples:\n")
	require.True(w.t, found, command)
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "  octo ") {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	require.NotEmpty(w.t, lines, command)
	return lines
}

// about reports whether an example is about the app hello, and not one that makes it.
func about(example string) bool {
	words := strings.Fields(example)
	return slices.Contains(words, "hello") && words[1] != "apps:create"
}

// typed runs a command line as a shell does.
func (w *world) typed(line string) result {
	w.t.Helper()
	return w.command("sh", "-c", strings.ReplaceAll(line, "octo ", octoBinary(w.t)+" "))
}

// Whatever is asked of an app that is not there, the answer says so, and what to do.
func TestBadCommand_NoSuchApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := os.ReadFile(w.path("key.pub"))
	require.NoError(t, err)
	for file, text := range map[string]string{"token.txt": "s3cret", ".env": "A=1\n", "bob.pub": string(key)} { // of examples
		require.NoError(t, os.WriteFile(w.path(file), []byte(text), 0o600))
	}
	for _, command := range w.commands() {
		for _, example := range w.examples(command) {
			if !about(example) {
				continue
			}
			line := strings.ReplaceAll(example, "hello", "nowhere")
			out := w.typed(line)
			if strings.Contains(out.err, "no such file") {
				require.Equal(t, 1, out.code, line) // the example's file is not here
				continue
			}
			require.Equal(t, 3, out.code, "%s\n%s", line, out.err)
			require.Contains(t, out.err, "error: no app named nowhere", line)
			require.Contains(t, out.err, "hint:  ", line)
			require.Empty(t, out.out, line)
		}
	}
	require.Equal(t, "[]\n", w.octo("apps", "--json").ok(), "nothing came into being")
}

// To a stranger the app is not there, and nothing that they type changes it.
func TestBadCommand_Stranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	before := w.octo("apps:info", "hello", "--json").ok()
	w.as("mallory")
	for _, command := range w.commands() {
		for _, example := range w.examples(command) {
			if !about(example) || strings.ContainsAny(example, "<>|$`'\"") {
				continue
			}
			line := strings.TrimPrefix(example, "octo ")
			out := w.sshAs("mallory", line)
			require.Contains(t, []int{2, 3}, out.code, "%s\n%s%s", line, out.out, out.err)
			if out.code == 3 {
				require.Contains(t, out.err, "error: no app named hello", line)
			}
			require.Empty(t, out.out, line)
		}
	}
	require.Equal(t, before, w.octo("apps:info", "hello", "--json").ok())
}

// What nobody understands is said to be so, and how it is meant.
func TestBadCommand_Usage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, command := range w.commands() {
		out := w.octo(command, "--no-such-flag")
		require.Equal(t, 2, out.code, command)
		require.Contains(t, out.err, "error: ", command)
		require.Contains(t, out.err, "hint:  see: octo "+command+" --help", command)
		require.NotContains(t, out.err, "panic", command)

		out = w.octo(slices.Concat([]string{command}, strings.Fields("one two three four five six seven eight nine -a no_name"))...)
		require.Contains(t, []int{1, 2, 3}, out.code, "%s\n%s", command, out.err) // 3: there is no app one
		require.NotContains(t, out.err, "panic", command)
	}
	out := w.octo("ps:sclae")
	require.Equal(t, 2, out.code)
	require.Contains(t, out.err, "hint:  ")
}

// A reader that has seen enough ends what it reads, without a complaint.
func TestBadCommand_ClosedPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	for _, line := range []string{"apps", "ps", "releases hello", "logs hello", "logs hello -f", "events", "events -f", "keys", "help", "doctor"} {
		out := w.typed("octo " + line + " | true")
		require.Zero(t, out.code, line)
		require.NotContains(t, out.err, "panic", line)
		require.NotContains(t, out.err, "error", line)
	}
}
