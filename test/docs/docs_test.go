package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// root is the top of the repository, from here.
const root = "../.."

// page is one file of the documentation.
type page struct {
	name string // from the top of the repository
	text string
}

// pages returns every page there is.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name()[0] == '.' || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err == nil {
			all = append(all, page{name: name, text: read(t, name)})
		}
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

// part is a piece of a page: prose, or the inside of a fenced block of code.
type part struct {
	language string // of a block; empty for prose
	code     bool
	text     string
}

// parts splits a page at its fences.
func (p page) parts() []part {
	var all []part
	now := part{}
	for line := range strings.Lines(p.text) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		if !isFence {
			now.text += line
			continue
		}
		all = append(all, now)
		now = part{code: !now.code, language: strings.TrimSpace(fence)}
	}
	return append(all, now)
}

// prose is what people read: everything that is not in a block of code.
func (p page) prose() string {
	var b strings.Builder
	for _, part := range p.parts() {
		if !part.code {
			b.WriteString(part.text)
		}
	}
	return b.String()
}

// linkPattern finds the targets of links.
var linkPattern = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinks_LeadSomewhere(t *testing.T) {
	for _, p := range pages(t) {
		for _, m := range linkPattern.FindAllStringSubmatch(p.prose(), -1) {
			if strings.Contains(m[1], "://") {
				continue // not of this repository
			}
			file, heading, _ := strings.Cut(m[1], "#")
			target := p.name
			if file != "" {
				target = filepath.Join(filepath.Dir(p.name), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", p.name, m[1])
				continue
			}
			if heading != "" && !slices.Contains(anchors(page{target, read(t, target)}), heading) {
				t.Errorf("%s: %s has no heading for the link %s", p.name, target, m[1])
			}
		}
	}
}

// anchors returns what links to the headings of a page are called, as GitHub does.
func anchors(p page) []string {
	var all []string
	for line := range strings.Lines(p.prose()) {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || line[0] != '#' {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
				return r
			case r == ' ':
				return '-'
			}
			return -1
		}, strings.ToLower(strings.TrimSpace(title)))
		all = append(all, name)
	}
	return all
}

// maxLine is how long a line may be, in characters. Rows of tables cannot be broken.
const maxLine = 160

func TestLines_FitTheScreen(t *testing.T) {
	for _, p := range pages(t) {
		if p.name == "docs/decisions.md" {
			continue // a paragraph of it is a line
		}
		number := 0
		for line := range strings.Lines(p.text) {
			number++
			line = strings.TrimRight(line, "\n")
			if n := utf8.RuneCountInString(line); n > maxLine && !strings.HasPrefix(line, "|") {
				t.Errorf("%s:%d has %d characters, more than %d", p.name, number, n, maxLine)
			}
		}
	}
}

func TestReadme_LeadsToEveryPage(t *testing.T) {
	readme := read(t, "README.md")
	for _, p := range pages(t) {
		if filepath.Dir(p.name) == "docs" && !strings.Contains(readme, "("+p.name+")") {
			t.Errorf("README.md does not lead to %s", p.name)
		}
	}
}
