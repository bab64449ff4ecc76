//go:build !linux

package api

import (
	"errors"
	"net"

	"github.com/octohost/octohost/internal/octo"
)

// peer knows nobody: octo serve runs on Linux only.
func peer(net.Conn) (octo.Identity, error) {
	return octo.Identity{}, errors.ErrUnsupported
}
