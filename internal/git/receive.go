package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// exitFailed is what git itself exits with when it cannot go on.
const exitFailed = 128

// ReceivePack receives a push: it speaks git's protocol with a client on stdio, and
// returns the exit status for it. protocol is the client's GIT_PROTOCOL. An error
// is for the caller to show to the person; everything else has been said already.
//
// One push of an app is received at a time; others wait for their turn, and are
// told. ctx is the client's: when it ends, ReceivePack returns, a push that has not
// arrived whole is dropped, and one that has goes on to its end without the client,
// which Run waits for. After it has returned, reading and writing stdio must fail
// soon; what nobody hears is dropped.
func (r *Repos) ReceivePack(ctx context.Context, who octo.Identity, app octo.Name, protocol string, stdio octo.Stdio) (int, error) {
	if !r.work.enter() {
		return exitFailed, errStopping()
	}
	defer r.work.leave()
	if err := r.Create(ctx, app); err != nil {
		return exitFailed, err
	}
	leave, err := r.turn(ctx, app, stdio)
	if err != nil {
		return exitFailed, err
	}
	if err := r.ready(app); err != nil {
		leave()
		return exitFailed, err
	}
	done := make(chan result, 1)
	r.work.also(func() {
		defer leave()
		done <- r.receive(ctx, r.pushes.add(app, who), protocol, stdio)
	})
	select {
	case res := <-done:
		return res.exit, res.err
	case <-ctx.Done():
		return exitFailed, nil // to nobody
	}
}

// result is how a push has ended, as far as its client is concerned.
type result struct {
	exit int
	err  error
}

// ready says whether a push of app can be received now.
func (r *Repos) ready(app octo.Name) error {
	if !r.Exists(app) { // removed while this push was waiting
		return octo.NoSuchApp(app)
	}
	return r.cfg.Free()
}

func errStopping() error {
	return octo.Errorf(octo.ErrUnavailable, "octohost is shutting down").WithHint("push again in a moment")
}

// turn waits until no other push of app is under way.
func (r *Repos) turn(ctx context.Context, app octo.Name, stdio octo.Stdio) (leave func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.base, func() { cancel(errStopping()) })()
	leave, err = r.queue.wait(ctx, app, func(ahead int) {
		_, err := fmt.Fprintf(stdio.Err, "-----> Waiting: %s of %s %s ahead\n", count(ahead, "push", "pushes"), app, isAre(ahead))
		if err != nil {
			cancel(fmt.Errorf("tell the client to wait: %w", err))
		}
	})
	if errors.Is(err, context.Canceled) {
		return nil, octo.Errorf(octo.ErrUnavailable, "the client has gone")
	}
	return leave, err
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// receive runs git for one push, whose turn it is, and waits until nothing more is
// done about it.
func (r *Repos) receive(ctx context.Context, p *push, protocol string, stdio octo.Stdio) result {
	began := time.Now()
	exit, err := r.runPush(ctx, p, protocol, stdio)
	r.pushes.remove(p)
	if p.begun() {
		<-p.settled // also when git has been killed
	} else {
		r.forget(p.app)
	}
	r.log.Info("push received", "app", p.app, "user", p.who.User, "stored", p.begun(), "exit", exit, "took", time.Since(began), "err", err)
	return result{exit, err}
}

// runPush runs git for one push.
func (r *Repos) runPush(ctx context.Context, p *push, protocol string, stdio octo.Stdio) (int, error) {
	// The process must outlive its client, so ctx is not the one that kills it.
	cmd := r.command(context.WithoutCancel(ctx), p.app, "receive-pack", ".")
	cmd.Env = append(cmd.Env, envSocket+"="+r.cfg.Socket, envPush+"="+p.id)
	if goodProtocol(protocol) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+protocol)
	}
	s, err := r.startSession(cmd, stdio)
	if err != nil {
		return exitFailed, err
	}
	in := newIntake(s, r.cfg.MaxPush, r.limits.idle)
	s.input(func(to io.Writer) { in.copy(to, stdio.In) })
	var watch sync.WaitGroup
	watch.Go(func() { r.watchPush(ctx, p, s, in) })
	exit := s.wait()
	watch.Wait()
	in.rest()
	if !p.begun() && in.err() == nil && ctx.Err() == nil && in.size() > int64(len("0000")) {
		_, _ = io.WriteString(stdio.Err, refusedByGit) // the client may have gone
	}
	return exit, in.err()
}

// forget removes what a push has left that was cut off, or that git refused.
func (r *Repos) forget(app octo.Name) {
	if err := r.sweepQuarantine(app); err != nil {
		r.log.Warn("cannot remove objects of a broken push", "app", app, "err", err)
	}
}

// refusedByGit follows what git itself says about a push that it has not taken.
const refusedByGit = " !     Git has refused this push, so nothing was deployed.\n" +
	"       If an object is corrupt or missing, check your repository with: git fsck --full\n"

// watchPush ends the session of a push when that is due: the client has gone, it
// does not read the end of the answer, or the daemon stops.
func (r *Repos) watchPush(ctx context.Context, p *push, s *session, in *intake) {
	gone, begun, settled := ctx.Done(), p.began, p.settled
	late := make(<-chan time.Time)
	for {
		select {
		case <-s.ended:
			return
		case <-gone:
			gone = nil
			s.closeInput() // git sees whether the pack is whole
		case <-begun:
			begun = nil
			in.rest() // the client has nothing more to send
		case <-settled:
			settled = nil
			late = time.After(r.limits.finish)
		case <-late:
			s.end()
			return
		case <-r.base.Done():
			s.endAfter(r.limits.settle)
			return
		}
	}
}
