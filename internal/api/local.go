package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/octohost/octohost/internal/octo"
)

// LocalGroup is the group whose members may use the local socket.
const LocalGroup = "octo"

// maxSocketPath is what fits a Unix socket address on every system, in bytes.
const maxSocketPath = 103

// ListenLocal makes the local door: a Unix socket at path that its owner and the
// group octo may use. It takes the place of one that a dead daemon left behind, but
// not of one that answers (ErrConflict). The socket goes when the listener closes.
func ListenLocal(path string) (net.Listener, error) {
	if len(path) > maxSocketPath-len(privateDir)-1 {
		return nil, octo.Errorf(octo.ErrInvalid, "the path of the socket is too long: %s", path).
			WithHint("use a data directory with a shorter path")
	}
	if old, err := os.Lstat(path); err == nil && old.Mode().Type() != fs.ModeSocket {
		return nil, octo.Errorf(octo.ErrConflict, "%s is in the way of the socket", path).WithHint("move it elsewhere")
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close() // it was only asked whether somebody is there
		return nil, octo.Errorf(octo.ErrConflict, "another octo serve answers at %s", path).
			WithHint("stop it first, or use another --data")
	}
	l, err := listenPrivately(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// privateDir is where a socket is made before it gets its name, beside it.
const privateDir = ".octo-sock"

// listenPrivately makes the socket where nobody else can reach it, sets its
// permissions, and only then moves it to path. So there is no moment at which
// somebody gets in by the umask.
func listenPrivately(path string) (net.Listener, error) {
	dir := filepath.Join(filepath.Dir(path), privateDir)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // at worst an empty directory stays until the next start
	tmp := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would remove the name that it no longer has
	err = errors.Join(giveToGroup(tmp), os.Chmod(tmp, 0o660))
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &localListener{UnixListener: l, path: path}, nil
}

// giveToGroup lets the group octo have path. Where there is no such group, or the
// daemon may not give files away, the socket stays with the daemon's own group.
func giveToGroup(path string) error {
	g, err := user.LookupGroup(LocalGroup)
	if err != nil {
		return nil
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return nil
	}
	if err := os.Chown(path, -1, gid); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// localListener removes its socket when it closes.
type localListener struct {
	*net.UnixListener
	path string
}

// Close ends the listener and removes the socket.
func (l *localListener) Close() error {
	err := l.UnixListener.Close()
	if gone := os.Remove(l.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) && err == nil {
		err = gone
	}
	return err
}

// Addr returns the path under which clients reach it.
func (l *localListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }
