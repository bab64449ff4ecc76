package cli

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/daemon"
	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/octo"
)

// withDaemon adds what only a Linux machine can do: be an octohost.
func withDaemon(env Env) Env {
	env.Serve = func(ctx context.Context, f ServeFlags) error { return serve(ctx, env, f) }
	env.Hook = func(ctx context.Context, args []string, stdio Stdio) int {
		return git.Hook(ctx, args, os.Environ(), stdio.In, stdio.Out, stdio.Err)
	}
	env.Socket = func(f ServeFlags) (string, error) {
		settings, err := daemon.Load(f.Config, env.Getenv, f.over)
		return filepath.Join(settings.Data, "octo.sock"), err
	}
	env.Doctor = func(ctx context.Context, f ServeFlags) []octo.Finding {
		settings, err := daemon.Load(f.Config, env.Getenv, f.over)
		if err != nil {
			return []octo.Finding{{Check: "configuration", Level: octo.FindingProblem, Message: err.Error()}}
		}
		return daemon.Doctor(ctx, settings)
	}
	return env
}

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, env Env, f ServeFlags) error {
	settings, err := daemon.Load(f.Config, env.Getenv, f.over)
	if err != nil {
		return err
	}
	d, err := daemon.New(settings, daemon.Program{
		Version: env.Version,
		Command: func(ctx context.Context, handler http.Handler, args []string, stdio octo.Stdio, terminal bool) int {
			return Remote(ctx, args, Stdio{In: stdio.In, Out: stdio.Out, Err: stdio.Err, OutTerminal: terminal, Console: stdio.Console}, api.InProcess(handler))
		},
		Log: slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: settings.Level()})),
	})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// over puts the flags that were given over other settings.
func (f ServeFlags) over(s *daemon.Settings) {
	for _, v := range []struct {
		flag string
		into *string
	}{{f.Data, &s.Data}, {f.HTTP, &s.HTTP}, {f.SSH, &s.SSH}, {f.Domain, &s.Domain}, {f.Authorize, &s.Authorize}} {
		if v.flag != "" {
			*v.into = v.flag
		}
	}
}
