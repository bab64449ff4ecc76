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

// login is a client that is about to prove who it is.
type login struct {
	server *Server
	audit  octo.Audit // of its failure
	last   error      // why the last key would not do; nil before the first
}

// config returns what ssh.NewServerConn needs for this client.
func (l *login) config() *ssh.ServerConfig {
	cfg := *l.server.ssh
	cfg.PublicKeyCallback = func(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		err := l.server.offered(conn, key)
		l.tried(conn, key, err)
		return nil, err
	}
	cfg.VerifiedPublicKeyCallback = func(conn ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		admitted, err := l.server.verified(key)
		l.audit.User = admitted.User
		l.tried(conn, key, err)
		if err != nil {
			return nil, err
		}
		return &ssh.Permissions{Extensions: map[string]string{fingerprintExtension: admitted.Fingerprint}}, nil
	}
	return &cfg
}

// tried notes the last key that would not do.
func (l *login) tried(conn ssh.ConnMetadata, key ssh.PublicKey, err error) {
	if err != nil {
		l.last, l.audit.Key = err, ssh.FingerprintSHA256(key)
		l.audit.Detail = map[string]string{"ssh_user": fmt.Sprintf("%.64q", conn.User())}
	}
}

// failed tells the audit trail of a client that did not get in, if it has tried a key.
func (l *login) failed() {
	if l.last == nil {
		return
	}
	a := l.audit.Ended(octo.Errorf(octo.ErrDenied, "%v", l.last))
	l.server.cfg.Audit(a)
}

// offered decides whether a key would do. Clients ask this for keys that they may
// not have, so it proves nothing (CVE-2024-45337).
func (s *Server) offered(conn ssh.ConnMetadata, key ssh.PublicKey) error {
	if conn.User() != "octo" && conn.User() != "git" {
		return fmt.Errorf("user %.64q: only octo and git are known", conn.User())
	}
	if weak(key) {
		return fmt.Errorf("keys of this kind (%s) are not accepted", kind(key))
	}
	_, err := s.admitted(key)
	return err
}

// admitted returns what is known of a key that admits somebody, now or once.
func (s *Server) admitted(key ssh.PublicKey) (octo.Key, error) {
	known, err := s.cfg.Key(context.Background(), ssh.FingerprintSHA256(key))
	if errors.Is(err, octo.ErrNotFound) {
		return known, errors.New("key is not admitted")
	}
	if err != nil {
		return known, fmt.Errorf("look up key: %w", err)
	}
	return known, nil
}

// verified is called for the key that the client has signed with: this is who it is.
// One whose key has expired is told so, since it has proved that the key is its own.
func (s *Server) verified(key ssh.PublicKey) (octo.Key, error) {
	known, err := s.admitted(key)
	if err != nil {
		return known, err
	}
	known.Fingerprint = ssh.FingerprintSHA256(key)
	if err := known.Check(time.Now()); err != nil {
		return known, &ssh.BannerError{Err: err, Message: "octohost: " + err.Error() + "\n"}
	}
	return known, nil
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
