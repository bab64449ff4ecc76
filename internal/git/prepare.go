package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Everything that is not a repository lies in Dir/.octo:
//
//	home/.gitconfig      the configuration of every git process, see config
//	hooks/proc-receive   the only hook, for all repositories
//	new-*, gone-*        repositories being made or removed
func (r *Repos) home() string  { return filepath.Join(r.hidden, "home") }
func (r *Repos) hooks() string { return filepath.Join(r.hidden, "hooks") }

// prepare writes what git processes need, and removes what a crash has left.
func (r *Repos) prepare(version string) error {
	v, err := parseVersion(version)
	if err != nil {
		return err
	}
	for _, dir := range []string{r.cfg.Dir, r.hidden, r.home(), r.hooks()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := replaceFile(filepath.Join(r.home(), ".gitconfig"), r.config(v), 0o600); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(r.hooks(), "proc-receive"), hookScript(r.cfg.Executable), 0o700); err != nil {
		return err
	}
	return r.sweep()
}

// config is read by every git process as the configuration of its user, so that it
// changes with the daemon, for all repositories at once.
func (r *Repos) config(v release) string {
	durable := "fsync = objects,derived-metadata,reference\n\tfsyncMethod = batch"
	if v.before(release{2, 36}) {
		durable = "fsyncObjectFiles = true"
	}
	return fmt.Sprintf(`# Written by octohost at every start: changes are lost.
[core]
	hooksPath = %s
	%s
	# Larger files are streamed instead of held in memory.
	bigFileThreshold = 16m
	# No repository borrows objects from another; without this, every push would list
	# the refs of its own for nothing.
	alternateRefsCommand = true
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	procReceiveRefs = refs
	advertisePushOptions = true
	autogc = false
	fsckObjects = true
	maxInputSize = %d
	unpackLimit = 1
[receive "fsck"]
	# Found in the history of honest repositories, and harmless.
	zeroPaddedFilemode = ignore
	badTimezone = ignore
	missingSpaceBeforeDate = ignore
[transfer]
	fsckObjects = true
	hideRefs = refs/octo
# What a commit says of itself may ask git archive for its signature's check.
[gpg]
	program = false
[gpg "ssh"]
	program = false
[gpg "x509"]
	program = false
[safe]
	directory = *
[tar]
	umask = 0022
`, quoteConfig(r.hooks()), durable, r.cfg.MaxPush)
}

// quoteConfig quotes a value for git's configuration files.
func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// hookScript calls the binary by its absolute path, whatever characters that has. The
// limit of git's memory is not meant for it, see limitMemory.
func hookScript(executable string) string {
	return "#!/bin/sh\nulimit -S -d unlimited 2>/dev/null\nexec '" + strings.ReplaceAll(executable, "'", `'\''`) + "' hook proc-receive\n"
}

// replaceFile writes a file so that it is never seen half-written.
func replaceFile(path, content string, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails where the rename below did not
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// sweep removes what a crash has left: half-made and half-removed repositories,
// objects that no push finished, and locks that nobody holds. Nothing else may be
// at work in Dir.
func (r *Repos) sweep() error {
	if err := removeAll(r.hidden, "new-*", "gone-*"); err != nil {
		return err
	}
	apps, err := r.List(context.Background())
	if err != nil {
		return err
	}
	for _, app := range apps {
		if err := errors.Join(r.sweepQuarantine(app), r.sweepLocks(app)); err != nil {
			return err
		}
	}
	return nil
}

// sweepQuarantine removes objects of pushes that did not end. No push of app may be
// under way.
func (r *Repos) sweepQuarantine(app octo.Name) error {
	return removeAll(filepath.Join(r.dir(app), "objects"), "tmp_objdir-*", "incoming-*", "pack/tmp_*", "pack/.tmp-*")
}

// removeAll removes what matches the patterns in dir.
func removeAll(dir string, patterns ...string) error {
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepLocks removes git's lock files, which survive the process that held them.
func (r *Repos) sweepLocks(app octo.Name) error {
	dir := r.dir(app)
	locks, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.lock"))
	if err != nil {
		return err
	}
	err = filepath.WalkDir(filepath.Join(dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock") {
			locks = append(locks, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, path := range locks {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// escapeGlob makes a directory's name safe inside a pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
