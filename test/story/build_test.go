package story_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain compiles octo once, with the race detector and the fail points.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

const binaryVariable = "OCTO_STORY_BINARY"

func run(m *testing.M) int {
	// A program with the race detector waits for a second before it ends: also every
	// command that a person types, and every hook of a push.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The race detector would let every octo command wait a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv(binaryVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "octo-story-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	path := filepath.Join(dir, "octo")
	build := exec.Command("go", "build", "-race", "-tags", "failpoint", "-o", path, "github.com/octohost/octohost/cmd/octo")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build octo: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binaryVariable, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func octoBinary(t *testing.T) string {
	t.Helper()
	return os.Getenv(binaryVariable)
}
