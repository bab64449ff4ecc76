package docs_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/daemon"
	"github.com/octohost/octohost/internal/manifest"
)

// keys returns the keys of a struct that is read from TOML, with those of the tables
// in it as "table.key".
func keys(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if f.Type.Kind() != reflect.Struct {
			all = append(all, name)
			continue
		}
		for _, inner := range keys(f.Type) {
			all = append(all, name+"."+inner)
		}
	}
	return all
}

func TestSettings_AreDocumented(t *testing.T) {
	text := read(t, "docs/operating.md")
	for _, key := range keys(reflect.TypeFor[daemon.Settings]()) {
		if !strings.Contains(text, "\n| `"+key+"` |") {
			t.Errorf("docs/operating.md has no row for the setting %s", key)
		}
	}
}

func TestManifest_IsDocumented(t *testing.T) {
	text := read(t, "docs/deploying.md")
	for _, shape := range []reflect.Type{reflect.TypeFor[manifest.Build](), reflect.TypeFor[manifest.Process]()} {
		for _, key := range keys(shape) {
			if !strings.Contains(text, "\n| `"+key+"` |") {
				t.Errorf("docs/deploying.md has no row for the key %s", key)
			}
		}
	}
}

// Examples of the two files begin with a comment that names them, and are read.
func TestExamples_AreRead(t *testing.T) {
	read := 0
	for _, p := range pages(t) {
		for _, part := range p.parts() {
			first, _, _ := strings.Cut(part.text, "\n")
			switch {
			case part.language != "toml":
			case strings.HasPrefix(first, "# octohost.toml"):
				_, err := manifest.Parse([]byte(part.text))
				require.NoError(t, err, p.name)
				read++
			case strings.HasPrefix(first, "# octo.toml"):
				path := filepath.Join(t.TempDir(), "octo.toml")
				require.NoError(t, os.WriteFile(path, []byte(part.text), 0o600))
				_, err := daemon.Load(path, func(string) string { return "" }, func(*daemon.Settings) {})
				require.NoError(t, err, p.name)
				read++
			default:
				t.Errorf("%s: an example of TOML does not say which file it is", p.name)
			}
		}
	}
	require.GreaterOrEqual(t, read, 2)
}

// Words that the program says to people and to other programs are explained on a page.
func TestWords_AreExplained(t *testing.T) {
	for _, c := range []struct{ source, pattern, page, form string }{
		{"internal/daemon/settings.go", `"(OCTO_[A-Z_]+)"`, "docs/operating.md", "`%`"},
		{"internal/cli/place.go", `"(OCTO_[A-Z_]+)"`, "docs/cli.md", "`%`"},
		{"internal/cli/ssh.go", `Getenv\("(OCTO_[A-Z_]+)"\)`, "docs/cli.md", "`%`"},
		{"internal/cli/serve.go", `flags\.StringVar\(&c\.flags\.\w+, "(\w+)"`, "docs/operating.md", "--%"},
		{"internal/daemon/doctor.go", `(?m)^\t\t\{"([a-z ]+)", check`, "docs/operating.md", "`%`"},
		{"internal/proxy/record.go", `append\w+\(b, "([a-z_]+)"`, "docs/proxy.md", "`%`"},
		{"internal/proxy/pages.go", `Code: "([a-z-]+)"`, "docs/proxy.md", "`%`"},
		{"internal/octo/instance.go", `FailureKind = "([a-z-]+)"`, "docs/deploying.md", "`%`"},
		{"internal/octo/event.go", `EventKind = "([a-z.]+)"`, "docs/cli.md", "`%`"},
		{"internal/octo/status.go", `AppState = "([a-z]+)"`, "docs/cli.md", "`%`"},
		{"internal/node/container.go", `"(OCTOHOST_[A-Z]+)=`, "docs/deploying.md", "`%`"},
		{"internal/engine/docker/spec.go", `(?m)^\t\t"([A-Z_]+)",`, "docs/deploying.md", "%"},
	} {
		found := regexp.MustCompile(c.pattern).FindAllStringSubmatch(read(t, c.source), -1)
		require.NotEmpty(t, found, "%s: nothing like %s", c.source, c.pattern)
		text := read(t, c.page)
		for _, m := range found {
			if !strings.Contains(text, strings.ReplaceAll(c.form, "%", m[1])) {
				t.Errorf("%s says %q, which %s does not explain", c.source, m[1], c.page)
			}
		}
	}
}

// requirement is a module that go.mod requires itself.
var requirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

func TestDependencies_AreExplained(t *testing.T) {
	text := read(t, "docs/dependencies.md")
	found := requirement.FindAllStringSubmatch(read(t, "go.mod"), -1)
	require.NotEmpty(t, found)
	for _, m := range found {
		if !strings.Contains(text, "`"+m[1]) {
			t.Errorf("docs/dependencies.md does not explain %s", m[1])
		}
	}
}
