package git

import (
	"bufio"
	"bytes"
	"context"
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

// start starts a git process, which may use limited memory: what people push can be
// made to unfold in memory without end. The process and its children are stopped by
// the kernel's refusal, with a message of git's own.
func (r *Repos) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start git %s: %w", cmd.Args[1], err)
	}
	if err := limitMemory(cmd.Process.Pid, r.limits.memory); err != nil {
		r.log.Warn("cannot limit the memory of git", "err", err)
	}
	return nil
}

// run runs a short git command and returns what it printed.
func (r *Repos) run(cmd *exec.Cmd) ([]byte, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := r.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, gitError(cmd, complaint.String(), err)
	}
	return out.Bytes(), nil
}

// output runs a short git command in the repository of app.
func (r *Repos) output(ctx context.Context, app octo.Name, args ...string) ([]byte, error) {
	return r.run(r.command(ctx, app, args...))
}

// stream starts a git command, lets read have what it prints, and waits for its end.
// Where read returns an error, the rest is not wanted.
func (r *Repos) stream(cmd *exec.Cmd, stop context.CancelFunc, read func(*bufio.Reader) error) error {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("make pipe for git: %w", err)
	}
	if err := r.start(cmd); err != nil {
		return err
	}
	if err = read(bufio.NewReaderSize(stdout, 64<<10)); err != nil {
		stop()
	}
	if ended := cmd.Wait(); err == nil && ended != nil {
		err = gitError(cmd, complaint.String(), ended)
	}
	return err
}

// gitError says what git complained about.
func gitError(cmd *exec.Cmd, complaint string, err error) error {
	if complaint = oneLine(complaint); complaint != "" {
		return fmt.Errorf("git %s: %s: %w", cmd.Args[1], complaint, err)
	}
	return fmt.Errorf("git %s: %w", cmd.Args[1], err)
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
