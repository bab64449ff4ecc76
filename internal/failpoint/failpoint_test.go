package failpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const program = `package main

import (
	"fmt"

	"github.com/octohost/octohost/internal/failpoint"
)

func main() {
	for i := range 3 {
		fmt.Println(i)
		failpoint.Hit("there")
	}
	fmt.Println("end")
}
`

// TestHit_KillsAtTheWantedPoint builds a program with the tag and looks at how it
// ends.
func TestHit_KillsAtTheWantedPoint(t *testing.T) {
	binary := build(t)
	for _, tc := range []struct {
		point, output string
		killed        bool
	}{
		{"", "0 1 2 end", false},
		{"elsewhere", "0 1 2 end", false},
		{"ther", "0 1 2 end", false},
		{"there", "0", true},
		{"there:1", "0", true},
		{"there:3", "0 1 2", true},
		{"there:4", "0 1 2 end", false},
	} {
		t.Run("point="+tc.point, func(t *testing.T) {
			cmd := exec.Command(binary)
			cmd.Env = append(os.Environ(), "OCTO_FAILPOINT="+tc.point)
			out, err := cmd.Output()
			require.Equal(t, tc.output, strings.Join(strings.Fields(string(out)), " "))
			if !tc.killed {
				require.NoError(t, err)
				return
			}
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
		})
	}
}

// build compiles the program inside this package, where it may import internal
// packages; an overlay keeps it out of the source tree.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	wd, err := os.Getwd()
	require.NoError(t, err)
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte(program), 0o600))
	overlay := filepath.Join(dir, "overlay.json")
	place := filepath.Join(wd, "overlaid", "main.go")
	require.NoError(t, os.WriteFile(overlay, []byte(`{"Replace": {"`+place+`": "`+source+`"}}`), 0o600))
	binary := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-tags", "failpoint", "-overlay", overlay, "-o", binary, "./overlaid")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}
