package cli

import (
	"context"
	"strings"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// defaultSocket is where octo serve listens without other orders.
const defaultSocket = "/var/lib/octohost/octo.sock"

// place is an octohost: a host over SSH, or a socket of this machine.
type place struct {
	host   host
	socket string
}

// place finds out which octohost is meant: by the flags, the environment, the git
// remote, the remembered remotes, and else the one of this machine.
func (s *session) place(ctx context.Context) (place, error) {
	host, socket := s.host, s.socket
	if host != "" && socket != "" {
		return place{}, usage("leave one of them out", "both --host and --socket say where to go")
	}
	if host == "" && socket == "" {
		host, socket = s.env.Getenv("OCTO_HOST"), s.env.Getenv("OCTO_SOCKET")
	}
	switch {
	case host != "":
		return s.named(host)
	case socket != "":
		return place{socket: socket}, nil
	}
	remote, err := s.gitRemote(ctx)
	if err != nil {
		return place{}, err
	}
	if remote.host.Name != "" {
		return place{host: remote.host}, nil
	}
	known, err := s.remotes()
	if err != nil {
		return place{}, err
	}
	if known.Default != "" {
		return s.named(known.Default)
	}
	return place{socket: defaultSocket}, nil
}

// named returns the place that --host names.
func (s *session) named(text string) (place, error) {
	if strings.Contains(text, "://") {
		h, err := parseHost(text)
		if err != nil {
			return place{}, usageError{err}
		}
		return place{host: h}, nil
	}
	known, err := s.remotes()
	if err != nil {
		return place{}, err
	}
	h, ok := known.Remotes[text]
	if !ok {
		return place{}, usage("write ssh://octo@HOST:2222, or remember one with: octo remote:add NAME ssh://octo@HOST:2222", "no remote named %.40q", text)
	}
	parsed, err := parseHost(h)
	return place{host: parsed}, err
}

// theApp returns the app that is meant: -a, the argument, or the git remote.
func (s *session) theApp(ctx context.Context, args []string) (octo.Name, error) {
	app, err := s.anApp(ctx, args)
	if err == nil && app == "" {
		hint := "name it with -a APP"
		if !s.inProcess {
			hint += ", or run this in a directory with a git remote named octo"
		}
		return "", usage(hint, "which app?")
	}
	return app, err
}

// about returns the app that is meant, and what asks the octohost about it.
func (s *session) about(ctx context.Context, args []string) (*api.Client, octo.Name, error) {
	name, err := s.theApp(ctx, args)
	if err != nil {
		return nil, "", err
	}
	client, err := s.open(ctx)
	return client, name, err
}

// anApp is theApp for commands that also work without one; it may be empty.
func (s *session) anApp(ctx context.Context, args []string) (octo.Name, error) {
	text := s.app
	if len(args) > 0 {
		if text != "" && text != args[0] {
			return "", usage("leave one of them out", "both %.40q and -a %.40q name an app", args[0], text)
		}
		text = args[0]
	}
	if text == "" {
		remote, err := s.gitRemote(ctx)
		return remote.app, err
	}
	name, err := octo.ParseName(text)
	if err != nil {
		return "", usageError{err}
	}
	return name, nil
}

// someApp is anApp for commands that show all apps where none is named, or where
// all are asked for.
func (s *session) someApp(ctx context.Context, args []string, all bool) (octo.Name, error) {
	if !all {
		return s.anApp(ctx, args)
	}
	if len(args) > 0 || s.app != "" {
		return "", usage("leave one of them out", "--all means all apps, and one is named")
	}
	return "", nil
}
