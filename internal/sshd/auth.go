package sshd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// fingerprintExtension carries the fingerprint of the key that proved who a client
// is, from the handshake to its sessions.
const fingerprintExtension = "octohost-fingerprint"

// offered decides whether a key would do. Clients ask this for keys that they may
// not have, so it proves nothing (CVE-2024-45337).
func (s *Server) offered(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if conn.User() != "octo" && conn.User() != "git" {
		return nil, fmt.Errorf("user %q: only octo and git are known", conn.User())
	}
	if weak(key) {
		return nil, fmt.Errorf("keys of this kind (%s) are not accepted", kind(key))
	}
	if _, err := s.cfg.Key(context.Background(), ssh.FingerprintSHA256(key)); err != nil {
		return nil, fmt.Errorf("key is not admitted: %w", err)
	}
	return nil, nil
}

// verified is called for the key that the client has signed with: this is who it is.
// One whose key has expired is told so, since it has proved that the key is its own.
func (s *Server) verified(_ ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
	fingerprint := ssh.FingerprintSHA256(key)
	admitted, err := s.cfg.Key(context.Background(), fingerprint)
	if err != nil {
		return nil, fmt.Errorf("key is not admitted: %w", err)
	}
	if err := admitted.Check(time.Now()); err != nil {
		return nil, &ssh.BannerError{Err: err, Message: "octohost: " + err.Error() + "\n"}
	}
	return &ssh.Permissions{Extensions: map[string]string{fingerprintExtension: fingerprint}}, nil
}

// identity says who the key of a connection belongs to now: a key that was taken
// away, or has expired, opens nothing more, also on a connection that is open.
func (c *connection) identity(ctx context.Context) (octo.Identity, error) {
	key, err := c.server.cfg.Key(ctx, c.fingerprint)
	if errors.Is(err, octo.ErrNotFound) {
		return octo.Identity{}, octo.NotAdmitted()
	}
	if err != nil {
		return octo.Identity{}, fmt.Errorf("look up key: %w", err)
	}
	return key.Identity(host(c.ssh.RemoteAddr())), key.Check(time.Now())
}

// host returns an address without its port.
func host(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return at.Addr().Unmap().String()
}
