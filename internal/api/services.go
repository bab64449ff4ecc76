package api

import (
	"context"
	"io"
	"iter"

	"github.com/octohost/octohost/internal/octo"
)

// Apps lists, creates and removes apps.
type Apps interface {
	// Apps returns those that who may see, in order of name.
	Apps(ctx context.Context, who octo.Identity) ([]octo.AppStatus, error)
	// App returns one; ErrNotFound.
	App(ctx context.Context, name octo.Name) (octo.AppStatus, error)
	// CreateApp makes an app that belongs to who; ErrConflict when the name is taken.
	CreateApp(ctx context.Context, who octo.Identity, name octo.Name) (octo.AppStatus, error)
	// SetBranch makes branch the only one that deploys; empty means main or master.
	SetBranch(ctx context.Context, who octo.Identity, name octo.Name, branch string) (octo.AppStatus, error)
	// DestroyApp removes an app and returns when nothing of it is left. It writes
	// lines of progress to out. What was begun goes on when ctx ends.
	DestroyApp(ctx context.Context, who octo.Identity, name octo.Name, out io.Writer) error
}

// Releases shows an app's releases and returns to earlier ones.
type Releases interface {
	// Releases returns all that are known, newest first.
	Releases(ctx context.Context, app octo.Name) ([]octo.Release, error)
	// Release returns the one with number n; ErrNotFound.
	Release(ctx context.Context, app octo.Name, n int) (octo.Release, error)
	// DiffReleases returns how release to differs from release from; ErrNotFound.
	DiffReleases(ctx context.Context, app octo.Name, from, to int) (octo.ReleaseDiff, error)
	// Rollback makes what release to had run again, and follows the rollout until it
	// ended, writing progress to out. 0 means the previous live one.
	Rollback(ctx context.Context, who octo.Identity, app octo.Name, to int, out io.Writer) error
}

// Activity shows what goes on.
type Activity interface {
	// Instances returns those of app; with an empty app, of all that who may see.
	Instances(ctx context.Context, who octo.Identity, app octo.Name) ([]octo.Instance, error)
	// Logs yields lines of an app's log, oldest first.
	Logs(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error]
	// Events yields events that who may see, oldest first.
	Events(ctx context.Context, who octo.Identity, q octo.EventQuery) iter.Seq2[octo.Event, error]
}
