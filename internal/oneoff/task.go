package oneoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// RunTask runs a task of a release that is about to be made, in its image and with its
// configuration, and returns its exit code. What it prints goes to out. When ctx ends,
// or the time for tasks, the task is ended too, and RunTask returns when it has: there
// are never two of one push.
func (r *Runner) RunTask(ctx context.Context, release octo.Release, t octo.Task, out io.Writer) (int, error) {
	release.Number = 0 // it has none yet, whatever it was made from
	j, err := plan(r.cfg.Host, t.Name, release.Author, release, octo.Program{Command: t.Command}, time.Now())
	if err != nil {
		return 0, err
	}
	defer r.mind(j.spec.Name)()
	j.logged = true
	j.Attached, j.Expires, j.spec.Command = true, time.Now().Add(r.cfg.TaskTime).UTC(), t.Command
	c, session, err := r.start(ctx, j, false)
	if err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, r.cfg.TaskTime)
	defer cancel()
	code, err := converse(limited, session, false, octo.Attachment{Out: out})
	if err != nil && limited.Err() != nil {
		err = errors.Join(err, r.cfg.Engine.Stop(context.WithoutCancel(ctx), c.ID, j.Grace.Std()))
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return 0, octo.Errorf(octo.ErrTimeout, "it took longer than %s and was ended", r.cfg.TaskTime).WithHint("the limit is release_timeout in octo.toml")
	}
	exit, err := r.exit(ctx, j, c, code, err)
	if exit.Message != "" {
		_, _ = fmt.Fprintln(out, exit.Message) // who reads it may have left
	}
	return exit.Code, err
}
