package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/reap"
	"github.com/octohost/octohost/internal/store"
)

// hostID returns the random id that tells this octohost's containers and images from
// those of others on the same engine. It is made once and kept in a file.
func hostID(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by crypto/rand
	id := hex.EncodeToString(b[:])
	return id, writeFile(path, []byte(id+"\n"), 0o600)
}

// writeFile writes a file whole or not at all, also when the power fails.
func writeFile(path string, text []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it has its name by then, or is of no use
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// listen binds an address, and explains when it cannot.
func listen(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, octo.Errorf(octo.ErrConflict, "%s: %s is in use by another program", what, addr).
			WithHint("see which with: ss -ltnp; or choose another address with --%s", what)
	case errors.Is(err, syscall.EACCES):
		return nil, octo.Errorf(octo.ErrDenied, "%s: not allowed to listen on %s", what, addr).
			WithHint("ports below 1024 need the capability that the systemd unit gives (make install), or another port with --%s", what)
	}
	return nil, octo.Errorf(octo.ErrInvalid, "%s: cannot listen on %q: %v", what, addr, err).WithHint("give host:port, for example :%s", map[string]string{"http": "80", "ssh": "2222"}[what])
}

// freeBytes is how much an ordinary program may still write to the file system that
// holds dir.
func freeBytes(dir string) (octo.Size, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	return octo.Size(st.Bavail) * octo.Size(st.Bsize), nil //nolint:unconvert // the types differ between systems
}

// room refuses new work when a disk that it would fill is nearly full.
func (d *Daemon) room() error {
	for _, dir := range d.disks() {
		free, err := freeBytes(dir)
		if err != nil {
			continue // not there, or on another machine: the work itself will tell
		}
		if free < d.settings.DiskFloor {
			return octo.Errorf(octo.ErrUnavailable, "only %s are free on the disk of %s, less than the floor of %s", free, dir, d.settings.DiskFloor).
				WithHint("an admin makes room there: octo gc --all, octo apps:destroy, docker system prune; or lowers disk_floor in octo.toml")
		}
	}
	return nil
}

// makeRoom is room after what may go was removed, where there is little. The instances
// of the deploy before may still be on their way out, and keep their image so long.
func (d *Daemon) makeRoom() error {
	ctx, cancel := context.WithTimeout(context.Background(), reliefWait)
	defer cancel()
	for {
		leaving := d.leaving(ctx)
		d.reaper.Relieve(ctx)
		err := d.room()
		if err == nil || !leaving {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(reliefPause):
		}
	}
}

const (
	// reliefWait bounds how long a push waits for room to be made.
	reliefWait  = 2 * time.Minute
	reliefPause = 500 * time.Millisecond
)

// leaving reports whether instances of this machine are on their way out.
func (d *Daemon) leaving(ctx context.Context) bool {
	wanted, err := store.Docs[[]octo.Assignment]{Store: d.store, Prefix: store.WantPrefix}.Get(ctx, d.node)
	return err == nil && slices.ContainsFunc(wanted.Value, func(a octo.Assignment) bool { return a.Drain })
}

// space says how much room there is on the disks. It is tight where another half of the
// floor would reach it: time to remove what may go.
func (d *Daemon) space(context.Context) reap.Space {
	space := reap.Roomy
	for _, dir := range d.disks() {
		free, err := freeBytes(dir)
		switch {
		case err != nil:
		case free < d.settings.DiskFloor:
			return reap.Full
		case free < d.settings.DiskFloor/2*3:
			space = reap.Tight
		}
	}
	return space
}

// disks are the directories whose file systems pushes and builds fill.
func (d *Daemon) disks() []string {
	dirs := []string{d.settings.Data}
	ctx, cancel := context.WithTimeout(context.Background(), engineWait)
	defer cancel()
	if info, err := d.engine.Info(ctx); err == nil && info.Root != "" {
		dirs = append(dirs, info.Root)
	}
	return dirs
}
