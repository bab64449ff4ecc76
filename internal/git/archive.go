package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"

	"github.com/octohost/octohost/internal/octo"
)

// maxUnfold is how many times larger than the largest push a commit may be when it is
// unpacked: a small pack can hold a tree that unfolds without end.
const maxUnfold = 8

// Archive streams a commit as a tar, as git archive makes it. Reading to the end
// returns an error instead of io.EOF if git has failed, so that a part is never
// taken for the whole; Close returns that error once more, and nil if the rest was
// not wanted. ErrInvalid means that commit is not a full object id, or that it
// is far too large, which may turn out while reading.
func (r *Repos) Archive(ctx context.Context, app octo.Name, commit string) (io.ReadCloser, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	// Git archive takes the list of files into memory before it writes the first one.
	if _, err := r.Submodules(ctx, app, commit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &archive{cmd: r.command(ctx, app, "archive", "--format=tar", commit), cancel: cancel, left: maxUnfold * r.cfg.MaxPush}
	a.cmd.Stderr = &a.stderr
	var err error
	if a.stdout, err = a.cmd.StdoutPipe(); err == nil {
		err = r.start(a.cmd)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return a, nil
}

// archive is a git archive under way.
type archive struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stdout io.Reader
	stderr bytes.Buffer
	left   int64 // bytes that may still come
	ended  bool
	err    error
}

// Read reads the tar.
func (a *archive) Read(b []byte) (int, error) {
	if a.ended {
		return 0, a.end()
	}
	n, err := a.stdout.Read(b)
	if a.left -= int64(n); a.left < 0 {
		_ = a.Close() // was killed
		a.err = octo.Errorf(octo.ErrInvalid, "the files of this commit are far larger than what was pushed: more than can be meant")
		return 0, a.err
	}
	if err == nil || n > 0 && errors.Is(err, io.EOF) {
		return n, nil
	}
	a.ended = true
	if err := a.cmd.Wait(); err != nil {
		a.err = gitError(a.cmd, a.stderr.String(), err)
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
