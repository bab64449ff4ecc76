package daemon_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/cli"
	"github.com/octohost/octohost/internal/daemon"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// site is a whole daemon, with apps and people that were there before it started.
type site struct {
	t      *testing.T
	dir    string
	ssh    string
	banner bytes.Buffer // what the door told those who were not let in

	signers map[string]ssh.Signer
	people  map[string]person
}

// person is somebody at the SSH door.
type person struct {
	ssh *ssh.Client
	api *http.Client // speaks through the same connection
}

// appOf is the app that a cell of a table has for itself, and keyOf who has a deploy
// key of it.
func appOf(row, column int) octo.Name { return octo.Name(fmt.Sprintf("app-%d-%d", row, column)) }
func keyOf(app octo.Name) string      { return "key of " + string(app) }

// openSite starts a daemon with apps for so many rows of a table.
func openSite(t *testing.T, rows int) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "octo") // short, for the sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	h := &site{t: t, dir: dir, signers: map[string]ssh.Signer{}, people: map[string]person{}}
	h.furnish(rows)
	s := daemon.Defaults()
	s.Data, s.HTTP, s.SSH, s.Domain, s.Engine = dir, freeAddress(t), freeAddress(t), "localhost", enginetest.Docker(t)
	h.ssh, s.Build.Cache = s.SSH, 1<<50 // the cache is everybody's: an admin who collects leaves it alone
	var log bytes.Buffer
	d, err := daemon.New(s, daemon.Program{
		Version: "v1.2.3", Log: slog.New(slog.NewTextHandler(&log, nil)),
		Command: func(ctx context.Context, handler http.Handler, args []string, stdio octo.Stdio, terminal bool) int {
			return cli.Remote(ctx, args, cli.Stdio{In: stdio.In, Out: stdio.Out, Err: stdio.Err, OutTerminal: terminal}, api.InProcess(handler))
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		for who := range h.people {
			h.forget(who)
		}
		cancel()
		require.NoError(t, <-ended)
		h.removeNetworks(s.Engine)
		if t.Failed() {
			t.Log(log.String())
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", h.ssh)
		return err == nil && conn.Close() == nil
	}, 20*time.Second, 5*time.Millisecond, "the SSH door opens")
	return h
}

// removeNetworks removes what the daemon has made in the engine.
func (h *site) removeNetworks(address string) {
	id, err := os.ReadFile(h.path("id"))
	require.NoError(h.t, err)
	engine, err := docker.Open(address)
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, engine.Close()) }()
	networks, err := engine.Networks(context.Background(), map[string]string{"octohost.host": strings.TrimSpace(string(id))})
	require.NoError(h.t, err)
	for _, n := range networks {
		require.NoError(h.t, engine.RemoveNetwork(context.Background(), n.ID))
	}
}

func (h *site) path(name string) string { return filepath.Join(h.dir, name) }

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // it was only tried
	return l.Addr().String()
}

// furnish writes people and apps into the store of a daemon that does not run yet.
func (h *site) furnish(rows int) {
	h.t.Helper()
	s, err := bolt.Open(h.path("octo.db"))
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, s.Close()) }()
	var g errgroup.Group // so that many writes share one trip to the disk
	for who, key := range map[string]octo.Key{
		"stranger": {User: "eve"}, "viewer": {User: "vic"}, "deployer": {User: "dan"}, "owner": {User: "ann"}, "admin": {User: "root", Admin: true},
		"another deploy key": {User: "other/ci", App: "other"}, "expired": {User: "ann", Expires: time.Now().Add(-time.Minute)},
	} {
		h.admit(s, &g, who, key)
	}
	h.create(s, &g, "other")
	for row := range rows {
		for column, name := range columns() {
			app := appOf(row, column)
			h.create(s, &g, app)
			if name == "deploy key" {
				h.admit(s, &g, keyOf(app), octo.Key{User: octo.DeployUser(app, "ci"), App: app})
			}
			g.Go(func() error { // one more, for those who ask for a fingerprint
				_, err := store.Docs[octo.Key]{Store: s, Prefix: store.KeysPrefix}.
					Create(context.Background(), "SHA256:"+string(app), octo.Key{Fingerprint: "SHA256:" + string(app), User: octo.DeployUser(app, "ci"), App: app})
				return err
			})
		}
	}
	require.NoError(h.t, g.Wait())
}

func (h *site) create(s store.Store, g *errgroup.Group, name octo.Name) {
	app := octo.App{Name: name, Owner: "ann", Created: time.Now(), Access: map[string]octo.Role{"vic": octo.RoleViewer, "dan": octo.RoleDeployer}}
	g.Go(func() error {
		_, err := store.Docs[octo.App]{Store: s, Prefix: store.AppsPrefix}.Create(context.Background(), string(name), app)
		return err
	})
}

// admit writes a key for somebody.
func (h *site) admit(s store.Store, g *errgroup.Group, who string, key octo.Key) {
	public := h.signer(who).PublicKey()
	key.Fingerprint, key.Public, key.Added = ssh.FingerprintSHA256(public), authorizedLine(h.signer(who)), time.Now()
	g.Go(func() error {
		_, err := store.Docs[octo.Key]{Store: s, Prefix: store.KeysPrefix}.Create(context.Background(), strings.ReplaceAll(key.Fingerprint, "/", "_"), key)
		return err
	})
}

// signer returns somebody's private key, a new one at first.
func (h *site) signer(who string) ssh.Signer {
	if h.signers[who] == nil {
		h.signers[who] = newSigner(h.t)
	}
	return h.signers[who]
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	return signer
}

func authorizedLine(s ssh.Signer) string { return string(ssh.MarshalAuthorizedKey(s.PublicKey())) }

func (h *site) dial(who string) (*ssh.Client, error) {
	return ssh.Dial("tcp", h.ssh, &ssh.ClientConfig{
		User: "octo", Auth: []ssh.AuthMethod{ssh.PublicKeys(h.signer(who))}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		BannerCallback: func(message string) error { h.banner.WriteString(message); return nil },
	})
}

// person returns somebody with an open connection.
func (h *site) person(t *testing.T, who string) person {
	t.Helper()
	if p, known := h.people[who]; known {
		return p
	}
	client, err := h.dial(who)
	require.NoError(t, err, who)
	h.people[who] = person{client, &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return apiConn(client) },
	}}}
	return h.people[who]
}

// forget closes somebody's connection.
func (h *site) forget(who string) {
	h.people[who].api.CloseIdleConnections()
	_ = h.people[who].ssh.Close() // the server may have closed it
	delete(h.people, who)
}

// apiConn opens a stream to the API in a session of its own.
func apiConn(client *ssh.Client) (net.Conn, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	session.Stdin, session.Stdout = far, far
	if err := session.Start("octo-api"); err != nil {
		return nil, err
	}
	go func() { // ends with the connection, which the end of the test closes at the latest
		_ = session.Wait()
		_ = far.Close()
	}()
	return near, nil
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *ssh.ExitError
	var hungUp *ssh.ExitMissingError // as the API does, which has no exit code
	if err == nil || errors.As(err, &hungUp) {
		return 0
	}
	require.ErrorAs(t, err, &exit)
	return exit.ExitStatus()
}
