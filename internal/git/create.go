package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/octohost/octohost/internal/octo"
)

// Create makes the repository of app, wholly or not at all. One that exists stays
// as it is.
func (r *Repos) Create(ctx context.Context, app octo.Name) error {
	if r.Exists(app) {
		return nil
	}
	if err := r.create(ctx, app); err != nil {
		return fmt.Errorf("create repository of %s: %w", app, err)
	}
	return nil
}

func (r *Repos) create(ctx context.Context, app octo.Name) error {
	tmp, err := os.MkdirTemp(r.hidden, "new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone already where all went well
	if _, err := r.run(r.commandIn(ctx, tmp, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".")); err != nil {
		return err
	}
	if err := syncTree(tmp); err != nil {
		return err
	}
	err = os.Rename(tmp, r.dir(app))
	if err != nil && r.Exists(app) {
		return nil // somebody was faster
	}
	if err != nil {
		return err
	}
	return syncPath(r.cfg.Dir)
}

// syncTree makes a directory and everything in it survive a power cut.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncPath(path)
	})
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Remove removes the repository of app, once no push of it is under way. One that
// is not there is no error.
func (r *Repos) Remove(ctx context.Context, app octo.Name) error {
	leave, err := r.queue.wait(ctx, app, func(int) {})
	if err != nil {
		return fmt.Errorf("wait for pushes of %s: %w", app, err)
	}
	defer leave()
	tmp, err := os.MkdirTemp(r.hidden, "gone-*")
	if err != nil {
		return fmt.Errorf("remove repository of %s: %w", app, err)
	}
	err = os.Rename(r.dir(app), filepath.Join(tmp, "repository"))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	err = errors.Join(err, os.RemoveAll(tmp), syncPath(r.cfg.Dir))
	if err != nil {
		return fmt.Errorf("remove repository of %s: %w", app, err)
	}
	return nil
}
