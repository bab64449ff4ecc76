package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// move is a change of one ref that git has checked and locked, and not made yet.
type move struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *bytes.Buffer
}

// startMove prepares the move of a ref: it must have its old value, and the new one
// must be a commit.
func (r *Repos) startMove(app octo.Name, c command) (*move, error) {
	m := &move{cmd: r.command(context.WithoutCancel(r.base), app, "update-ref", "--stdin"), stderr: &bytes.Buffer{}}
	m.cmd.Stderr = m.stderr
	stdin, err1 := m.cmd.StdinPipe()
	stdout, err2 := m.cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("make pipes for git: %w", err)
	}
	m.stdin, m.stdout = stdin, bufio.NewReader(stdout)
	if err := r.start(m.cmd); err != nil {
		return nil, err
	}
	err := m.say(fmt.Sprintf("start\nupdate %s %s %s\nprepare\n", c.ref, c.new, c.old), "start", "prepare")
	if err == nil {
		return m, nil
	}
	_ = m.end() // it has ended for the same reason
	if strings.Contains(m.stderr.String(), "non-commit object") {
		return nil, octo.Errorf(octo.ErrInvalid, "what was pushed is not a commit").WithHint("push a branch: git push octo HEAD:main")
	}
	return nil, fmt.Errorf("lock %s: %s: %w", c.ref, oneLine(m.stderr.String()), err)
}

// commit makes the change.
func (m *move) commit() error {
	err := m.say("commit\n", "commit")
	if err = errors.Join(err, m.end()); err != nil {
		return fmt.Errorf("%s: %w", oneLine(m.stderr.String()), err)
	}
	return nil
}

// abort leaves the ref as it is.
func (m *move) abort() error { return errors.Join(m.say("abort\n", "abort"), m.end()) }

// say writes commands and waits until git has done them.
func (m *move) say(commands string, done ...string) error {
	if _, err := io.WriteString(m.stdin, commands); err != nil {
		return err
	}
	for _, d := range done {
		line, err := m.stdout.ReadString('\n')
		if err != nil {
			return noEOF(err)
		}
		if line != d+": ok\n" {
			return fmt.Errorf("git answers %q", line)
		}
	}
	return nil
}

func (m *move) end() error { return errors.Join(m.stdin.Close(), m.cmd.Wait()) }

// setHead makes ref the branch that a clone checks out.
func (r *Repos) setHead(ctx context.Context, app octo.Name, ref string) error {
	head, err := os.ReadFile(filepath.Join(r.dir(app), "HEAD"))
	if err != nil {
		return err
	}
	if string(head) == "ref: "+ref+"\n" {
		return nil
	}
	_, err = r.output(ctx, app, "symbolic-ref", "HEAD", ref)
	return err
}
