package sshd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// The exit statuses of what the door itself refuses.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitDenied   = 4
)

// dispatch runs what a line asks for, and returns the exit status. ctx is the
// daemon's, client the session's.
func (s *session) dispatch(ctx, client context.Context, interrupt func(), line string) uint32 {
	who, err := s.identity(ctx)
	if err != nil {
		was := s.came
		was.Remote = host(s.ssh.RemoteAddr())
		s.server.cfg.Audit(was.Audited(octo.AuditLogin, "").Ended(err))
		return s.refuse(err)
	}
	req, err := parse(line)
	if err != nil {
		return req.status(s.refuse(err))
	}
	began := time.Now()
	status := req.status(s.execute(ctx, client, interrupt, who, req))
	s.server.cfg.Log.Info("ssh session", "user", who.User, "what", req.name(), "app", req.app, "exit", status, "took", time.Since(began))
	return status
}

// execute runs a request and returns its exit status.
func (s *session) execute(ctx, client context.Context, interrupt func(), who octo.Identity, req request) uint32 {
	switch {
	case req.git != "":
		return s.serveGit(ctx, client, who, req)
	case len(req.args) == 0:
		return s.greet(who)
	}
	// What is no push ends with the daemon, too.
	both, cancel := context.WithCancel(client)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if len(req.args) == 1 && req.args[0] == "octo-api" {
		if err := s.server.cfg.API(both, s.channel, who); err != nil {
			return s.refuse(err)
		}
		return 0
	}
	stdio := s.stdio()
	if s.terminal {
		stdio = s.terminalStdio(interrupt)
	}
	status := s.server.cfg.Command(both, who, req.args, stdio, s.terminal)
	if status < 0 || status > 255 {
		return exitFailed
	}
	return uint32(status) //nolint:gosec // checked
}

// serveGit serves a push or a clone, and tells the audit trail.
func (s *session) serveGit(ctx, client context.Context, who octo.Identity, req request) uint32 {
	what := octo.AuditFetch
	if req.git == receivePack {
		what = octo.AuditPush
	}
	audit := who.Audited(what, req.app)
	status, err := s.git(ctx, client, who, req)
	audit = audit.Ended(err)
	switch {
	case err != nil:
	case client.Err() != nil:
		audit.Result = octo.AuditLeft
	case status != 0:
		audit.Result = octo.AuditFailed
	}
	s.server.cfg.Audit(audit)
	if err != nil {
		return s.refuse(err)
	}
	return uint32(status) //nolint:gosec // of a process
}

// git serves a push or a clone. It outlives the daemon's ctx, for as long as the
// connection does.
func (s *session) git(ctx, client context.Context, who octo.Identity, req request) (int, error) {
	serve, action := s.server.cfg.Git.UploadPack, octo.ActionAppRead
	if req.git == receivePack {
		serve, action = s.server.cfg.Git.ReceivePack, octo.ActionAppDeploy
	}
	err := s.server.cfg.Authorize(ctx, who, action, req.app)
	if req.git == receivePack && errors.Is(err, octo.ErrNotFound) {
		err = s.create(ctx, who, req.app)
	}
	if err != nil {
		return exitFailed, err
	}
	stdio := s.stdio() // git's protocol is no text, on a terminal neither
	defer context.AfterFunc(ctx, func() {
		_, _ = fmt.Fprintf(stdio.Err, " !     octohost is shutting down: this may go on for %s.\n", s.server.cfg.Limits.Farewell) // the client may have left
	})()
	return serve(client, who, req.app, s.protocol, stdio)
}

// create makes an app on its first push. The name may be taken by somebody whose app
// this person does not see.
func (s *session) create(ctx context.Context, who octo.Identity, app octo.Name) error {
	if err := s.server.cfg.Authorize(ctx, who, octo.ActionAppCreate, ""); err != nil {
		return err
	}
	err := s.server.cfg.CreateApp(ctx, who, app)
	if errors.Is(err, octo.ErrConflict) && s.server.cfg.Authorize(ctx, who, octo.ActionAppDeploy, app) == nil {
		return nil // another first push of the same person was faster
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.say(), "-----> Creating app %s\n", app) // a client that left misses it
	return nil
}

// refuse tells the person what is wrong, in a sentence and a hint, and returns the
// exit status for it.
func (s *session) refuse(err error) uint32 {
	out := s.say()
	message, hint := err.Error(), ""
	var e *octo.Error
	switch {
	case errors.As(err, &e):
		message, hint = e.Message, e.Hint
	case octo.Kind(err) == nil:
		s.server.cfg.Log.Error("ssh session failed", "err", err)
		message = "internal error"
	}
	_, _ = fmt.Fprintf(out, " !     %s\n", message) // a client that left misses it
	if hint != "" {
		_, _ = fmt.Fprintf(out, "       %s\n", hint)
	}
	switch octo.Kind(err) {
	case octo.ErrInvalid:
		return exitUsage
	case octo.ErrNotFound:
		return exitNotFound
	case octo.ErrDenied:
		return exitDenied
	}
	return exitFailed
}

// greet answers somebody who looks for a shell.
func (s *session) greet(who octo.Identity) uint32 {
	out := s.stdio().Out
	if s.terminal {
		out = s.say()
	}
	_, _ = fmt.Fprintf(out, "Hello %s, this is octohost. There is no shell here, but you can:\n"+
		"  git push octo main        deploy\n"+
		"  ssh octo@HOST apps        list your apps\n"+
		"  ssh octo@HOST help        see every command\n", who.User) // a client that left misses it
	return 0
}
