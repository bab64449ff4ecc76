package git

import (
	"context"
	"io"
	"sync"

	"github.com/octohost/octohost/internal/octo"
)

// UploadPack serves a clone or fetch of app: it speaks git's protocol with a client
// on stdio, and returns the exit status for it. An error is for the caller to show
// to the person. It ends when ctx does. After it has returned, reading and writing
// stdio must fail soon.
func (r *Repos) UploadPack(ctx context.Context, _ octo.Identity, app octo.Name, protocol string, stdio octo.Stdio) (int, error) {
	if !r.work.enter() {
		return exitFailed, errStopping()
	}
	defer r.work.leave()
	if err := r.Create(ctx, app); err != nil {
		return exitFailed, err
	}
	cmd := r.command(context.WithoutCancel(ctx), app, "upload-pack", ".")
	if goodProtocol(protocol) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+protocol)
	}
	s, err := r.startSession(cmd, stdio)
	if err != nil {
		return exitFailed, err
	}
	s.input(func(to io.Writer) {
		_, _ = io.Copy(to, stdio.In) // git sees the end of its input, and why does not matter
	})
	var watch sync.WaitGroup
	watch.Go(func() { r.watchUpload(ctx, s) })
	exit := s.wait()
	watch.Wait()
	if r.base.Err() != nil {
		return exit, errStopping()
	}
	return exit, nil
}

// watchUpload ends the session when its client has gone or the daemon stops.
func (r *Repos) watchUpload(ctx context.Context, s *session) {
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.end()
	case <-r.base.Done():
		s.endAfter(r.limits.settle)
	}
}
