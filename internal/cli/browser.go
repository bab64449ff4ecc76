package cli

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
)

// browser returns a function that shows a URL in the person's browser, or nil where
// there is none: on a server, or at the end of an SSH session.
func browser(getenv func(string) string) func(context.Context, string) error {
	program := browserProgram(getenv)
	if program == nil {
		return nil
	}
	if _, err := exec.LookPath(program[0]); err != nil {
		return nil
	}
	return func(ctx context.Context, url string) error {
		if out, err := exec.CommandContext(ctx, program[0], append(program[1:], url)...).CombinedOutput(); err != nil {
			return fmt.Errorf("open browser: %w: %.200s", err, out)
		}
		return nil
	}
}

func browserProgram(getenv func(string) string) []string {
	switch {
	case getenv("SSH_CONNECTION") != "":
		return nil
	case runtime.GOOS == "darwin":
		return []string{"open"}
	case runtime.GOOS == "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "":
		return []string{"xdg-open"}
	}
	return nil
}
