package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// The exit statuses of what the door itself refuses.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitDenied   = 4
	exitGit      = 128 // what git itself exits with
)

// request is what a line asks for.
type request struct {
	git  string    // "receive-pack" or "upload-pack"; empty if the line is none of git's
	app  octo.Name // for git
	args []string  // otherwise: a command
}

// parse reads the line that a client wants executed. It goes through no shell: what
// is not git's is a command of octo with plain words as arguments.
func parse(line string) (request, error) {
	words, err := octo.Words(line)
	if err != nil {
		return request{}, err
	}
	if len(words) > 0 && words[0] == "git" {
		words = append([]string{"git-" + strings.Join(words[1:min(2, len(words))], "")}, words[min(2, len(words)):]...)
	}
	if len(words) == 0 || !strings.HasPrefix(words[0], "git-") {
		return request{args: words}, nil
	}
	service := strings.TrimPrefix(words[0], "git-")
	if !slices.Contains([]string{"receive-pack", "upload-pack"}, service) {
		return request{}, octo.Errorf(octo.ErrInvalid, "git %.40s is not served here, only push, fetch and clone", service)
	}
	if len(words) != 2 {
		return request{}, octo.Errorf(octo.ErrInvalid, "git %s needs the name of one app", service)
	}
	app, err := octo.ParseName(strings.TrimSuffix(strings.TrimPrefix(words[1], "/"), ".git"))
	return request{git: service, app: app}, err
}

// dispatch runs what a line asks for, and returns the exit status.
func (s *session) dispatch(ctx, client context.Context, interrupt func(), line string) uint32 {
	who, err := s.server.identity(ctx, s.fingerprint)
	if err != nil {
		return s.refuse(err)
	}
	req, err := parse(line)
	if err != nil {
		if strings.HasPrefix(line, "git") {
			_ = s.refuse(err)
			return exitGit
		}
		return s.refuse(err)
	}
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
	if req.args[0] == "octo-api" {
		if err := s.server.cfg.API(both, s.channel, who); err != nil {
			return s.refuse(err)
		}
		return 0
	}
	stdio := s.stdio()
	if s.terminal {
		stdio = s.terminalStdio(func() { interrupt(); cancel() })
	}
	return uint32(s.server.cfg.Command(both, who, req.args, stdio, s.terminal)) //nolint:gosec // an exit status
}

// serveGit serves a push or a clone.
func (s *session) serveGit(ctx, client context.Context, who octo.Identity, req request) uint32 {
	serve, action := s.server.cfg.Git.UploadPack, octo.ActionAppRead
	if req.git == "receive-pack" {
		serve, action = s.server.cfg.Git.ReceivePack, octo.ActionAppDeploy
	}
	err := s.server.cfg.Authorize(ctx, who, action, req.app)
	if action == octo.ActionAppDeploy && errors.Is(err, octo.ErrNotFound) {
		err = s.create(ctx, who, req.app)
	}
	if err != nil {
		_ = s.refuse(err)
		return exitGit
	}
	status, err := serve(client, who, req.app, s.protocol, s.stdio())
	if err != nil {
		_ = s.refuse(err)
		return exitGit
	}
	return uint32(status) //nolint:gosec // an exit status
}

// create makes an app on its first push. The name may be taken by somebody whose app
// this person does not see.
func (s *session) create(ctx context.Context, who octo.Identity, app octo.Name) error {
	if err := s.server.cfg.Authorize(ctx, who, octo.ActionAppCreate, ""); err != nil {
		return err
	}
	if err := s.server.cfg.CreateApp(ctx, who, app); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.channel.Stderr(), "-----> Creating app %s\n", app) // a client that left misses it
	return nil
}

// refuse tells the person what is wrong, in a sentence and a hint, and returns the
// exit status for it.
func (s *session) refuse(err error) uint32 {
	var out io.Writer = s.channel.Stderr()
	if s.terminal {
		out = crlf{out}
	}
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
	var out io.Writer = s.channel
	if s.terminal {
		out = crlf{out}
	}
	_, _ = fmt.Fprintf(out, "Hello %s, this is octohost. There is no shell here, but you can:\n"+
		"  git push octo main        deploy\n"+
		"  ssh octo@HOST apps        list your apps\n"+
		"  ssh octo@HOST help        see every command\n", who.User) // a client that left misses it
	return 0
}
