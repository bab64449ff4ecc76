package api_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// admin and alice are who comes through the doors of these tests.
var (
	admin = octo.Identity{User: "root", Admin: true}
	alice = octo.Identity{User: "alice", Key: "SHA256:alice"}
)

// door lets a client in, as a certain person where the door allows that.
type door func(t *testing.T, cfg api.Config, who octo.Identity) *api.Client

// doors are the ways to the same server.
func doors() map[string]door {
	return map[string]door{"socket": socketDoor, "in process": inProcessDoor, "stream": streamDoor}
}

// socketDoor leads over a real Unix socket. Who comes is said by the kernel, which
// knows only the user that runs the tests, so it counts for admins only.
func socketDoor(t *testing.T, cfg api.Config, who octo.Identity) *api.Client {
	if !who.Admin {
		t.Skip("the local socket admits only admins")
	}
	path := filepath.Join(t.TempDir(), "octo.sock")
	serveLocal(t, cfg, path)
	c := api.NewClient(api.DialLocal(path))
	t.Cleanup(c.Close)
	return c
}

// serveLocal answers at path until the test ends, and fails it when something goes
// wrong then.
func serveLocal(t *testing.T, cfg api.Config, path string) {
	l, err := api.ListenLocal(path)
	require.NoError(t, err)
	run(t, func(ctx context.Context) error { return api.NewServer(cfg).ServeLocal(ctx, l) })
}

// run runs f until the test ends, and waits for it.
func run(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func inProcessDoor(t *testing.T, cfg api.Config, who octo.Identity) *api.Client {
	c := api.InProcess(api.NewServer(cfg).Handler(who))
	t.Cleanup(c.Close)
	return c
}

// streamDoor leads over two-way streams such as those of SSH.
func streamDoor(t *testing.T, cfg api.Config, who octo.Identity) *api.Client {
	server := api.NewServer(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	c := api.NewClient(func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		served.Go(func() {
			if err := server.ServeStream(ctx, far, who); err != nil {
				t.Errorf("serve stream: %v", err)
			}
		})
		return near, nil
	})
	t.Cleanup(func() {
		c.Close()
		cancel()
		served.Wait()
	})
	return c
}

// throughDoors runs a test over every door.
func throughDoors(t *testing.T, who octo.Identity, cfg func() api.Config, test func(t *testing.T, c *api.Client)) {
	for name, open := range doors() {
		t.Run(name, func(t *testing.T) { test(t, open(t, cfg(), who)) })
	}
}

// logTo returns a logger that appends to a builder.
func logTo(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
