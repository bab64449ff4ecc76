package api

import (
	"context"
	"errors"
	"io/fs"
	"net"

	"github.com/octohost/octohost/internal/octo"
)

// DialLocal returns a dial function for the socket at path. Its errors say what to
// do: ErrUnavailable when no daemon is there, ErrDenied when the caller may not.
func DialLocal(path string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, fs.ErrPermission):
			return nil, octo.Errorf(octo.ErrDenied, "you may not use the octohost of this machine (%s)", path).
				WithHint("add yourself to its group with: sudo usermod -aG %s $USER, and log in again; or use sudo", LocalGroup)
		}
		return nil, octo.Errorf(octo.ErrUnavailable, "no octohost answers at %s", path).
			WithHint("is octo serve running? For another machine, say --host ssh://octo@HOST:2222")
	}
}
