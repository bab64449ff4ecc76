package manifest_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/manifest"
)

func TestParseCNAME(t *testing.T) {
	for text, want := range map[string][]string{
		"":                               {},
		"example.com":                    {"example.com"},
		"\ufeffexample.com\r\n\r\n":      {"example.com"},
		"# all of ours\nA.b # first\nc ": {"A.b", "c"},
		"a.b\n  a.b\n*.a.b\n":            {"a.b", "*.a.b"},
		"two words\n\xff\n":              {"two words", "\ufffd"},
	} {
		names, left := manifest.ParseCNAME([]byte(text))
		require.Equal(t, want, names, "%q", text)
		require.Zero(t, left)
	}
	var many strings.Builder
	for i := range 150 {
		fmt.Fprintf(&many, "%d.example.com\n", i)
	}
	names, left := manifest.ParseCNAME([]byte(many.String()))
	require.Len(t, names, 100)
	require.Equal(t, 50, left)
}

func FuzzParseCNAME(f *testing.F) {
	f.Add([]byte("example.com\n# x\n*.example.org"))
	f.Fuzz(func(t *testing.T, text []byte) {
		names, _ := manifest.ParseCNAME(text)
		require.NotNil(t, names)
		require.LessOrEqual(t, len(names), 100)
		for _, name := range names {
			require.NotEmpty(t, name)
			require.LessOrEqual(t, len(name), 300)
			require.True(t, utf8.ValidString(name))
			require.NotContains(t, name, "\n")
		}
	})
}
