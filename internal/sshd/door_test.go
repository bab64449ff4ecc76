package sshd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/sshd"
)

// dial connects with x/crypto's client.
func (h *house) dial(t *testing.T, user string) *ssh.Client {
	t.Helper()
	client, err := h.dialAs(user, "127.0.0.1:"+h.port)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (h *house) dialAs(user, address string) (*ssh.Client, error) {
	text, err := os.ReadFile(h.path(user))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: "octo", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
}

func TestDoor_AdmitsKnownKeysOnly(t *testing.T) {
	h := openHouse(t)
	stranger := h.newKey("stranger")
	h.expel(stranger)

	require.Equal(t, "alice [\"whoami\"]\n", finish(t, h.ssh("whoami")).out)
	require.Equal(t, "bob [\"whoami\"]\n", finish(t, h.sshAs("bob", "git@127.0.0.1", "whoami")).out)

	got := finish(t, h.sshAs("stranger", "octo@127.0.0.1", "whoami"))
	require.Equal(t, result{"", "octo@127.0.0.1: Permission denied (publickey).\n", 255}, unixLines(got))
	got = finish(t, h.sshAs("alice", "root@127.0.0.1", "whoami"))
	require.Equal(t, result{"", "root@127.0.0.1: Permission denied (publickey).\n", 255}, unixLines(got))
}

// unixLines drops carriage returns, which ssh prints on its own messages.
func unixLines(r result) result {
	r.err = strings.ReplaceAll(r.err, "\r", "")
	return r
}

// A client may ask whether keys would do that it does not have. Who it is must come
// from the key that it has signed with (CVE-2024-45337).
func TestDoor_IdentityIsTheKeyThatSigned(t *testing.T) {
	h := openHouse(t)
	require.NoError(t, os.Remove(h.path("alice"))) // only alice.pub is left

	got := finish(t, h.sshAs("alice", "-i", h.path("bob"), "octo@127.0.0.1", "whoami"))
	require.Equal(t, "bob [\"whoami\"]\n", got.out)

	mallory := h.newKey("mallory")
	h.expel(mallory)
	got = finish(t, h.sshAs("alice", "-i", h.path("mallory"), "octo@127.0.0.1", "whoami"))
	require.Equal(t, 255, got.exit)
	require.Empty(t, got.out)
}

func TestDoor_AKeyTakenAwayOpensNothingMore(t *testing.T) {
	h := openHouse(t)
	key := h.newKey("carol")
	client := h.dial(t, "carol")
	session, err := client.NewSession()
	require.NoError(t, err)
	require.NoError(t, session.Run("whoami"))

	h.expel(key)

	session, err = client.NewSession()
	require.NoError(t, err)
	var errs strings.Builder
	session.Stderr = &errs
	require.ErrorContains(t, session.Run("whoami"), "status 4")
	require.Contains(t, errs.String(), "your key is no longer admitted")
}

func TestDoor_RefusesOldAlgorithms(t *testing.T) {
	h := openHouse(t)
	for _, option := range []string{
		"KexAlgorithms=diffie-hellman-group14-sha256", "KexAlgorithms=ecdh-sha2-nistp256", "Ciphers=aes128-ctr", "HostKeyAlgorithms=rsa-sha2-512",
	} {
		got := finish(t, h.sshAs("alice", "-o", option, "octo@127.0.0.1", "whoami"))
		require.Equal(t, 255, got.exit, option)
	}
	for _, option := range []string{"Ciphers=chacha20-poly1305@openssh.com", "Ciphers=aes256-gcm@openssh.com"} {
		require.Zero(t, finish(t, h.sshAs("alice", "-o", option, "octo@127.0.0.1", "whoami")).exit, option)
	}
}

func TestDoor_WaitsForTheFirstKey(t *testing.T) {
	admitted, listened := make(chan struct{}), make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host, err := sshd.LoadHostKey(t.TempDir() + "/key")
	require.NoError(t, err)
	h := &house{log: &text{}}
	s := sshd.New(sshd.Config{
		Admitted: func(ctx context.Context) error {
			select {
			case <-admitted:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Listen:  func() (net.Listener, error) { close(listened); return listener, nil },
		HostKey: host, Key: h.key, Log: discard(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-listened:
		require.Fail(t, "the door is open, and nobody has a key")
	case <-time.After(50 * time.Millisecond):
	}
	close(admitted)
	within(t, listened)
	cancel()
	require.NoError(t, within(t, done))
	require.ErrorIs(t, listener.Close(), net.ErrClosed)
}

func TestDoor_ReportsThatItCannotOpen(t *testing.T) {
	host, err := sshd.LoadHostKey(t.TempDir() + "/key")
	require.NoError(t, err)
	s := sshd.New(sshd.Config{
		Admitted: func(context.Context) error { return nil },
		Listen:   func() (net.Listener, error) { return nil, errors.New("port taken") },
		HostKey:  host, Log: discard(),
	})
	require.ErrorContains(t, s.Run(t.Context()), "port taken")
}

func TestDoor_BoundsStrangers(t *testing.T) {
	h := openHouse(t, limit(sshd.Limits{Neighbors: 3, Handshake: time.Minute}))
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", "127.0.0.1:"+h.port)
		require.NoError(t, err)
		crowd = append(crowd, c)
		_, err = io.ReadFull(c, make([]byte, 4)) // SSH-: it has been let in
		require.NoError(t, err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+h.port)
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 4))
	require.Error(t, err, "closed at once")
	require.NoError(t, c.Close())

	require.NoError(t, crowd[0].Close())
	require.Eventually(t, func() bool { return finish(t, h.ssh("whoami")).exit == 0 }, patience, 10*time.Millisecond)
}

func TestDoor_BoundsHandshakesConnectionsAndSessions(t *testing.T) {
	t.Run("handshake", func(t *testing.T) {
		h := openHouse(t, limit(sshd.Limits{Handshake: 50 * time.Millisecond}))
		c, err := net.Dial("tcp", "127.0.0.1:"+h.port)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err = io.Copy(io.Discard, c)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	})
	t.Run("connections", func(t *testing.T) {
		h := openHouse(t, limit(sshd.Limits{Connections: 1}))
		first := h.dial(t, "alice")
		_, err := h.dialAs("bob", "127.0.0.1:"+h.port)
		require.Error(t, err)
		require.NoError(t, first.Close())
		require.Eventually(t, func() bool {
			c, err := h.dialAs("bob", "127.0.0.1:"+h.port)
			return err == nil && c.Close() == nil
		}, patience, 5*time.Millisecond)
	})
	t.Run("sessions", func(t *testing.T) {
		h := openHouse(t, limit(sshd.Limits{Sessions: 2}))
		client := h.dial(t, "alice")
		var open []*ssh.Session
		for range 2 {
			s, err := client.NewSession()
			require.NoError(t, err)
			open = append(open, s)
		}
		_, err := client.NewSession()
		require.ErrorContains(t, err, "too many sessions")
		require.NoError(t, open[0].Run("x"))
		require.Eventually(t, func() bool { _, err := client.NewSession(); return err == nil }, patience, 5*time.Millisecond)
	})
	t.Run("keys", func(t *testing.T) {
		h := openHouse(t)
		args := []string{}
		for i := range 12 {
			name := "k" + string(rune('a'+i))
			h.expel(h.newKey(name))
			args = append(args, "-i", h.path(name))
		}
		require.NoError(t, os.Remove(h.path("alice")))
		got := finish(t, h.sshAs("alice", append(args, "octo@127.0.0.1", "x")...))
		require.Equal(t, 255, got.exit)
		require.Contains(t, got.err, "too many authentication failures")
	})
}

func TestDoor_NoticesAClientThatVanished(t *testing.T) {
	h := openHouse(t, limit(sshd.Limits{Alive: 50 * time.Millisecond}))
	cancelled := make(chan struct{}, 1)
	h.onCommand(following(cancelled))
	cut := newCable(t, "127.0.0.1:"+h.port)
	client, err := h.dialAs("alice", cut.address)
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	require.NoError(t, err)
	out, err := session.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, session.Start("logs -f"))
	_, err = io.ReadFull(out, make([]byte, len("following\n")))
	require.NoError(t, err)
	select {
	case <-cancelled:
		require.Fail(t, "a client that answers is alive")
	case <-time.After(300 * time.Millisecond):
	}
	cut.pulled.Store(true)
	within(t, cancelled)
}

func TestDoor_ClosesAnIdleConnection(t *testing.T) {
	h := openHouse(t, limit(sshd.Limits{Alive: 20 * time.Millisecond, Idle: 50 * time.Millisecond}))
	client := h.dial(t, "alice")
	closed := make(chan error, 1)
	go func() { closed <- client.Wait() }()
	require.Error(t, within(t, closed))
}

// cable is a connection that can be pulled without either end being told.
type cable struct {
	address string
	pulled  atomic.Bool
	most    atomic.Int64 // where not 0: pulled after so many bytes from the client
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	c := &cable{address: l.Addr().String()}
	go func() {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		go func() {
			c.carry(near, far)
			_ = near.Close()
		}()
		c.carry(far, near)
		_ = far.Close()
	}()
	return c
}

func (c *cable) carry(to io.Writer, from io.Reader) {
	buf := make([]byte, 4096)
	var total int64
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		total += int64(n)
		if most := c.most.Load(); most > 0 && total > most {
			c.pulled.Store(true)
		}
		if !c.pulled.Load() {
			_, _ = to.Write(buf[:n])
		}
	}
}

func TestLoadHostKey_StaysTheSame(t *testing.T) {
	path := t.TempDir() + "/key"
	first, err := sshd.LoadHostKey(path)
	require.NoError(t, err)
	second, err := sshd.LoadHostKey(path)
	require.NoError(t, err)
	require.Equal(t, first.PublicKey().Marshal(), second.PublicKey().Marshal())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.Chmod(path, 0o644))
	_, err = sshd.LoadHostKey(path)
	require.ErrorContains(t, err, "others may read the SSH host key")
	require.NoError(t, os.WriteFile(path, []byte("garbage"), 0o600))
	require.NoError(t, os.Chmod(path, 0o600))
	_, err = sshd.LoadHostKey(path)
	require.ErrorContains(t, err, "is not an SSH host key")
}

func TestParseAuthorizedKey(t *testing.T) {
	const good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6L4zG0G2mP7cJp5Q2r9J2yq3yq0V7x0s2m4b7p8d6X"
	key, err := sshd.ParseAuthorizedKey(good + " alice@laptop\n")
	require.NoError(t, err)
	require.Equal(t, good, key.Public)
	require.Equal(t, "alice@laptop", key.Comment)
	require.True(t, strings.HasPrefix(key.Fingerprint, "SHA256:"))
	for line, want := range map[string]string{
		"":                               "this is not an SSH public key",
		"garbage":                        "this is not an SSH public key",
		`command="id" ` + good:           "the key has options in front of it",
		good + "\n" + good:               "there is more than one key",
		weakRSA(t):                       "RSA with 1024 bits",
		"-----BEGIN OPENSSH PRIVATE KEY": "this is not an SSH public key",
	} {
		_, err := sshd.ParseAuthorizedKey(line)
		require.ErrorIs(t, err, octo.ErrInvalid, line)
		require.ErrorContains(t, err, want, line)
	}
}

func limit(l sshd.Limits) func(*sshd.Config, *git.Config) {
	return func(c *sshd.Config, _ *git.Config) { c.Limits = l }
}
