package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// hasJSON marks the commands that know --json.
const hasJSON = "json"

// jsonOf lets a command know --json, whose result is a T, and says in its help which
// fields that has.
func jsonOf[T any](cmd *cobra.Command, what string) {
	cmd.Annotations = map[string]string{hasJSON: what}
	fields := strings.Join(jsonFields(reflect.TypeFor[T]()), ", ")
	if cmd.Long == "" {
		cmd.Long = cmd.Short + "."
	}
	cmd.Long += "\n\n" + wrap("With --json: "+what+" with the fields "+fields+". Empty ones may be left out.")
}

// checkJSON refuses --json for a command that does not know it.
func (s *session) checkJSON(cmd *cobra.Command, _ []string) error {
	if s.json && cmd.Annotations[hasJSON] == "" && !s.completing {
		return usage("leave it out", "%s has no --json", cmd.CommandPath())
	}
	return nil
}

// jsonFields returns the names of the fields of a struct in JSON.
func jsonFields(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, jsonFields(f.Type)...)
		case f.IsExported() && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// wrap breaks text into lines of at most 80 characters.
func wrap(text string) string {
	var b strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		switch {
		case width == 0:
		case width+1+len(word) > 80:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}

// printJSON prints a result for programs, indented.
func (s *session) printJSON(v any) error { return writeJSON(s.env.Out, v, "  ") }

// printLine prints one element of a stream for programs, on one line.
func printLine(w io.Writer, v any) error { return writeJSON(w, v, "") }

func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeControls(b.String()))
	return err
}

// escapeControls writes as \u00XX what JSON may hold as it is, and a terminal obeys all
// the same: the control characters that are not of ASCII, and those that turn the
// direction of text.
func escapeControls(text string) string {
	if !strings.ContainsFunc(text, steering) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if steering(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func steering(r rune) bool { return r != '\n' && r != unicode.ReplacementChar && control(r) }
