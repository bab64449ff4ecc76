package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/octohost/octohost/internal/octo"
)

// Archive streams a commit as a tar, as git archive makes it. Reading to the end
// returns an error instead of io.EOF if git has failed, so that a part is never
// taken for the whole; Close returns that error once more, and nil if the rest was
// not wanted. ErrInvalid means that commit is not a full object id.
func (r *Repos) Archive(ctx context.Context, app octo.Name, commit string) (io.ReadCloser, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &archive{cmd: r.command(ctx, app, "archive", "--format=tar", commit), cancel: cancel}
	a.cmd.Stderr = &a.stderr
	var err error
	if a.stdout, err = a.cmd.StdoutPipe(); err == nil {
		err = a.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start git archive: %w", err)
	}
	return a, nil
}

// archive is a git archive under way.
type archive struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stdout io.Reader
	stderr bytes.Buffer
	ended  bool
	err    error
}

// Read reads the tar.
func (a *archive) Read(b []byte) (int, error) {
	if a.ended {
		return 0, a.end()
	}
	n, err := a.stdout.Read(b)
	if err == nil || n > 0 && errors.Is(err, io.EOF) {
		return n, nil
	}
	a.ended = true
	if err := a.cmd.Wait(); err != nil {
		a.err = fmt.Errorf("git archive: %s: %w", oneLine(a.stderr.String()), err)
	}
	return n, a.end()
}

func (a *archive) end() error {
	if a.err != nil {
		return a.err
	}
	return io.EOF
}

// Close ends git, if it has not ended yet.
func (a *archive) Close() error {
	defer a.cancel()
	if a.ended {
		return a.err
	}
	a.ended = true
	a.cancel()
	_ = a.cmd.Wait() // was killed, because the rest is not wanted
	return nil
}
