package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// environ is the whole environment of a git process: nothing of the daemon's own
// but the path, and nothing of the client's.
func (r *Repos) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + r.home(),
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
	}
}

// command prepares a git process in the repository of app. It is the leader of its
// own process group, and dies with ctx.
func (r *Repos) command(ctx context.Context, app octo.Name, args ...string) *exec.Cmd {
	return r.commandIn(ctx, r.dir(app), args...)
}

func (r *Repos) commandIn(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(r.environ(), "GIT_DIR=.")
	ownGroup(cmd)
	cmd.Cancel = func() error { return kill(cmd) }
	cmd.WaitDelay = r.limits.kill
	return cmd
}

// output runs a short git command and returns what it printed.
func (r *Repos) output(ctx context.Context, app octo.Name, args ...string) ([]byte, error) {
	out, err := r.command(ctx, app, args...).Output()
	if err != nil {
		return nil, gitError(args[0], err)
	}
	return out, nil
}

// gitError says what git complained about.
func gitError(what string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("git %s: %s: %w", what, oneLine(string(bytes.TrimSpace(exit.Stderr))), err)
	}
	return fmt.Errorf("git %s: %w", what, err)
}

// oneLine makes text fit one line of an answer.
func oneLine(s string) string {
	const most = 400
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\n', c == '\t':
			return ' '
		case c < ' ', c == 0x7f:
			return -1
		}
		return c
	}, strings.ToValidUTF8(strings.TrimSpace(s), "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// checkCommit refuses everything but a full object id, before it becomes an
// argument of a command.
func checkCommit(commit string) error {
	if !isObject(commit) {
		return octo.Errorf(octo.ErrInvalid, "%q is not the id of a commit", oneLine(commit))
	}
	return nil
}

func isObject(id string) bool {
	if len(id) != 40 && len(id) != 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isZero(id string) bool { return strings.Trim(id, "0") == "" }

// goodProtocol reports whether a client's GIT_PROTOCOL is one to pass on.
func goodProtocol(protocol string) bool { return protocol == "version=1" || protocol == "version=2" }
