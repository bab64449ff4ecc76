// Package sshd is the SSH door: it finds out by their key who somebody is, and hands
// their session to git, to the API, or to a command. There is no shell behind it, no
// forwarding and no file transfer (RFC 4252, RFC 4254). The SSH user name is octo or
// git, which says nothing.
package sshd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// Git serves git's two protocols. The integer is the exit status for the client; an
// error is shown to the person.
type Git interface {
	ReceivePack(ctx context.Context, who octo.Identity, app octo.Name, protocol string, stdio octo.Stdio) (int, error)
	UploadPack(ctx context.Context, who octo.Identity, app octo.Name, protocol string, stdio octo.Stdio) (int, error)
}

// Terminal says whether a command's output is seen on a terminal.
type Terminal bool

// Config is what a Server needs.
type Config struct {
	// Admitted blocks until somebody has a key: before that nobody could get in.
	Admitted func(context.Context) error
	// Listen opens the door then.
	Listen  func() (net.Listener, error)
	HostKey ssh.Signer
	// Key returns the key with a fingerprint, or ErrNotFound.
	Key func(ctx context.Context, fingerprint string) (octo.Key, error)
	// Keys yields all keys, first and after each change, so that connections end with
	// their keys. It may be nil.
	Keys      func(context.Context) iter.Seq2[[]octo.Key, error]
	Authorize func(ctx context.Context, who octo.Identity, what octo.Action, app octo.Name) error
	// CreateApp makes an app on its first push.
	CreateApp func(ctx context.Context, who octo.Identity, app octo.Name) error
	Git       Git
	// API answers HTTP requests that come over a stream, until it ends.
	API func(ctx context.Context, stream io.ReadWriteCloser, who octo.Identity) error
	// Audit keeps who was refused, and what was done with git; it may be nil.
	Audit func(octo.Audit)
	// Command runs a command line and returns its exit status.
	Command func(ctx context.Context, who octo.Identity, args []string, stdio octo.Stdio, on Terminal) int
	Log     *slog.Logger
	Limits  Limits
}

// Limits bound what clients may take. Zero values mean the defaults.
type Limits struct {
	Handshake   time.Duration // to prove who one is; default 15 s
	Strangers   int           // who have not proved it yet, at a time; default 128
	Neighbors   int           // of them from one address; default 32
	Connections int           // at a time; default 512
	Sessions    int           // at a time on one connection; default 16
	Alive       time.Duration // between two questions whether a client still lives, and for its answer; default 30 s
	Idle        time.Duration // of a connection without a session; default 10 min
	Farewell    time.Duration // for pushes under way when the daemon ends; default 60 s
}

func (l *Limits) fill() {
	l.Handshake = cmp.Or(l.Handshake, 15*time.Second)
	l.Strangers = cmp.Or(l.Strangers, 128)
	l.Neighbors = cmp.Or(l.Neighbors, 32)
	l.Connections = cmp.Or(l.Connections, 512)
	l.Sessions = cmp.Or(l.Sessions, 16)
	l.Alive = cmp.Or(l.Alive, 30*time.Second)
	l.Idle = cmp.Or(l.Idle, 10*time.Minute)
	l.Farewell = cmp.Or(l.Farewell, time.Minute)
}

// maxAuthTries is how many keys a client may offer. An agent with more than this
// should be told which one to use (IdentitiesOnly).
const maxAuthTries = 10

// Server is the SSH door.
type Server struct {
	cfg       Config
	ssh       *ssh.ServerConfig
	strangers gate
	guests    guests
}

// New returns a Server.
func New(cfg Config) *Server {
	cfg.Limits.fill()
	if cfg.Audit == nil {
		cfg.Audit = func(octo.Audit) {}
	}
	s := &Server{cfg: cfg, strangers: gate{most: cfg.Limits.Strangers, each: cfg.Limits.Neighbors}}
	s.ssh = &ssh.ServerConfig{
		Config:                  algorithms(),
		PublicKeyAuthAlgorithms: keyAlgorithms(),
		MaxAuthTries:            maxAuthTries,
		ServerVersion:           "SSH-2.0-octohost",
	}
	s.ssh.AddHostKey(cfg.HostKey)
	return s
}

// algorithms are the modern ones, all of which OpenSSH has had since 6.5 (2014). The
// ciphers need no MAC of their own.
func algorithms() ssh.Config {
	return ssh.Config{
		KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
		Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305},
		MACs:         []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
	}
}

// keyAlgorithms are those by which people may prove who they are: neither DSA, nor
// SHA-1, nor certificates.
func keyAlgorithms() []string {
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
	}
}

// Run opens the door once somebody is admitted, and serves until ctx is done. Then
// it takes nobody in any more; pushes under way get Limits.Farewell.
func (s *Server) Run(ctx context.Context) error {
	if err := s.cfg.Admitted(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("wait for the first key: %w", err)
	}
	l, err := s.cfg.Listen()
	if err != nil {
		return err
	}
	s.cfg.Log.Info("ssh door is open", "address", l.Addr().String())
	defer context.AfterFunc(ctx, func() { _ = l.Close() })() // Accept tells that it is closed

	var connections sync.WaitGroup
	defer connections.Wait()
	watching, endWatch := context.WithCancel(ctx)
	connections.Go(func() { s.expel(watching) })
	defer endWatch()
	free := make(chan struct{}, s.cfg.Limits.Connections)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept ssh connections: %w", err)
		case err != nil: // too many open files, or a client that left: it passes
			s.cfg.Log.Warn("cannot accept ssh connection", "err", err)
			pause(ctx, 100*time.Millisecond)
			continue
		}
		select {
		case free <- struct{}{}:
			connections.Go(func() {
				defer func() { <-free }()
				s.serve(ctx, conn)
			})
		default:
			_ = conn.Close() // there are too many already
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// serve takes one client from the handshake to the end.
func (s *Server) serve(ctx context.Context, raw net.Conn) {
	defer raw.Close() //nolint:errcheck // it is over in any case
	conn, channels, requests, err := s.greetStranger(ctx, raw)
	if err != nil {
		s.cfg.Log.Debug("ssh handshake failed", "remote", raw.RemoteAddr().String(), "err", err)
		return
	}
	c := &connection{
		server: s, ssh: conn, fingerprint: conn.Permissions.Extensions[fingerprintExtension],
		tally: newTally(s.cfg.Limits.Sessions),
	}
	if c.came, err = c.identity(ctx); err != nil {
		s.cfg.Audit(octo.Identity{Key: c.fingerprint, Remote: host(raw.RemoteAddr())}.Audited(octo.AuditLogin, "").Ended(err))
		return // it was taken away just now
	}
	c.came.Remote = ""
	defer s.guests.enter(c)()
	c.serve(ctx, channels, requests)
}

// greetStranger lets a client prove who it is, in bounded time and numbers.
func (s *Server) greetStranger(ctx context.Context, raw net.Conn) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	leave, ok := s.strangers.enter(raw.RemoteAddr())
	if !ok {
		return nil, nil, nil, errors.New("there are too many strangers at the door")
	}
	defer leave()
	if err := raw.SetDeadline(time.Now().Add(s.cfg.Limits.Handshake)); err != nil {
		return nil, nil, nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })() // a handshake is not worth waiting for
	quick := newEager(raw)
	login := &login{server: s, audit: octo.Audit{Time: time.Now().UTC(), From: host(raw.RemoteAddr()), What: octo.AuditLogin}}
	conn, channels, requests, err := ssh.NewServerConn(quick, login.config())
	if err != nil {
		login.failed()
		return nil, nil, nil, err
	}
	quick.rest()
	return conn, channels, requests, raw.SetDeadline(time.Time{})
}
