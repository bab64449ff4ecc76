package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tableRow finds the fields of a row of a table.
var tableRow = regexp.MustCompile(`(?m)^\| (.*) \|$`)

// messages returns what tables quote in code, where it is a sentence: what a person
// has seen, and looks up.
func messages(p page) []string {
	var all []string
	for _, m := range tableRow.FindAllStringSubmatch(p.prose(), -1) {
		for _, span := range codeSpan.FindAllStringSubmatch(m[1], -1) {
			if len(triples(span[1])) >= 2 && !strings.ContainsAny(span[1], "=/{<$") && !strings.HasPrefix(span[1], "octo ") && !strings.HasPrefix(span[1], "git ") {
				all = append(all, span[1])
			}
		}
	}
	return all
}

// triples returns every three words in a row, without punctuation around them. Words
// with a number in them differ from case to case, and break the row.
func triples(text string) []string {
	var all, words []string
	for word := range strings.FieldsSeq(text) {
		word = strings.Trim(word, "\"`'.,:;()[]…\\")
		if word == "" || strings.ContainsAny(word, "0123456789%") {
			words = nil
			continue
		}
		if words = append(words, strings.ToLower(word)); len(words) >= 3 {
			all = append(all, strings.Join(words[len(words)-3:], " "))
		}
	}
	return all
}

// spoken returns every three words in a row of the program's source.
func spoken(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			for _, three := range triples(line) {
				all[three] = true
			}
		}
		return err
	}))
	return all
}

// Messages that pages quote are still said, as far as that can be seen: most of their
// words stand in a row somewhere in the source.
func TestMessages_AreSaid(t *testing.T) {
	known, quoted := spoken(t), 0
	for _, p := range pages(t) {
		for _, message := range messages(p) {
			quoted++
			found, parts := 0, triples(message)
			for _, three := range parts {
				if known[three] {
					found++
				}
			}
			if 2*found < len(parts) {
				t.Errorf("%s quotes %q, which nothing in the source resembles", p.name, message)
			}
		}
	}
	require.Greater(t, quoted, 30, "few messages are found: is the pattern right?")
}
