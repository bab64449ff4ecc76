package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// library finds the files in what ldd prints.
var library = regexp.MustCompile(`(/\S+) \(0x`)

// Shell returns this machine's /bin/sh and its libraries, by the paths at which they
// must be in an image that has a shell, without the leading slash; and the lines of a
// Dockerfile that put them there.
func Shell(t testing.TB) (files map[string]string, dockerfile string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ldd", "/bin/sh").Output()
	require.NoError(t, err)
	paths := []string{"/bin/sh"}
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		paths = append(paths, m[1])
	}
	files = map[string]string{}
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path)
		require.NoError(t, err)
		text, err := os.ReadFile(real)
		require.NoError(t, err)
		files["shell"+path] = string(text)
	}
	return files, strings.Join([]string{"COPY shell /", ""}, "\n")
}
