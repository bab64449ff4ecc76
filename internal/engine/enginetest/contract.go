package enginetest

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
)

// Engine is everything that octohost asks of a container engine. No part of
// octohost needs all of it: each declares what it calls.
type Engine interface {
	Containers
	Sessions
	Watching
	Networks
	Images
	Info(ctx context.Context) (engine.Info, error)
	Close() error
}

// Containers are started, stopped and found.
type Containers interface {
	Start(ctx context.Context, spec engine.Spec) (engine.Container, error)
	Restart(ctx context.Context, id string) (engine.Container, error)
	Stop(ctx context.Context, id string, grace time.Duration) error
	Remove(ctx context.Context, id string) error
	List(ctx context.Context, labels map[string]string) ([]engine.Container, error)
	Inspect(ctx context.Context, id string) (engine.Container, error)
}

// Sessions connect somebody with a program.
type Sessions interface {
	StartAttached(ctx context.Context, spec engine.Spec, at engine.Attach) (engine.Container, engine.Session, error)
	Exec(ctx context.Context, id string, spec engine.ExecSpec) (engine.Session, error)
	Inside(id string) engine.Process
}

// Watching tells what containers do.
type Watching interface {
	Events(ctx context.Context, labels map[string]string) iter.Seq2[engine.Event, error]
	Logs(ctx context.Context, id string, opts engine.LogOptions) iter.Seq2[engine.LogLine, error]
	Memory(ctx context.Context, id string) (int64, error)
}

// Networks connect containers with the machine.
type Networks interface {
	EnsureNetwork(ctx context.Context, spec engine.NetworkSpec) (engine.Network, error)
	Networks(ctx context.Context, labels map[string]string) ([]engine.Network, error)
	RemoveNetwork(ctx context.Context, id string) error
}

// Images are built, found and removed.
type Images interface {
	ImageBuilder
	Image(ctx context.Context, ref string) (engine.Image, error)
	Images(ctx context.Context, labels map[string]string) ([]engine.Image, error)
	Tag(ctx context.Context, id, tag string) error
}

// deadline bounds everything that a test of an engine waits for.
const deadline = 30 * time.Second

// Run checks that engines keep the contract. open returns a fresh one, and a pool
// ("10.213.0.0/16") whose addresses reach from this machine into its containers,
// which must run Webapp.
func Run(t *testing.T, open func(t testing.TB) (e Engine, pool string)) {
	for name, check := range map[string]func(*suite){
		"info":                    (*suite).info,
		"network is idempotent":   (*suite).networkIsIdempotent,
		"networks do not overlap": (*suite).networksDoNotOverlap,
		"start serves":            (*suite).startServes,
		"start conflicts":         (*suite).startConflicts,
		"files":                   (*suite).files,
		"start fails cleanly":     (*suite).startFailsCleanly,
		"labels are exact":        (*suite).labelsAreExact,
		"exit code":               (*suite).exitCode,
		"stop is graceful":        (*suite).stopIsGraceful,
		"stop kills":              (*suite).stopKills,
		"remove":                  (*suite).remove,
		"restart keeps address":   (*suite).restartKeepsAddress,
		"out of memory":           (*suite).outOfMemory,
		"attached streams":        (*suite).attachedStreams,
		"attached amounts":        (*suite).attachedAmounts,
		"attached signals":        (*suite).attachedSignals,
		"attached terminal":       (*suite).attachedTerminal,
		"attached to nothing":     (*suite).attachedToNothing,
		"attached no more":        (*suite).attachedNoMore,
		"exec":                    (*suite).exec,
		"exec terminal":           (*suite).execTerminal,
		"exec signals":            (*suite).execSignals,
		"exec fails":              (*suite).execFails,
		"exec goes on":            (*suite).execGoesOn,
		"events":                  (*suite).events,
		"logs":                    (*suite).logs,
		"logs follow":             (*suite).logsFollow,
		"memory":                  (*suite).memory,
		"image":                   (*suite).image,
		"image tags":              (*suite).imageTags,
		"image in use":            (*suite).imageInUse,
		"build fails":             (*suite).buildFails,
	} {
		t.Run(name, func(t *testing.T) {
			e, pool := open(t)
			s := &suite{T: t, Engine: e, pool: pool, host: Host()}
			s.labels = map[string]string{engine.LabelHost: s.host}
			t.Cleanup(func() { require.NoError(t, e.Close()) })
			Sweep(t, e, s.host)
			check(s)
		})
	}
}

// suite is one test of the contract: an engine, and what marks its objects.
type suite struct {
	*testing.T
	Engine
	pool   string
	host   string
	labels map[string]string
}

// hello returns what Start needs to run Webapp.
func (s *suite) hello(env ...string) engine.Spec {
	s.Helper()
	id := HelloImage(s, s.Engine, s.host, nil)
	network, err := s.EnsureNetwork(s.Context(), s.network("net"))
	require.NoError(s, err)
	return engine.Spec{
		Name: s.host + "-hello", Image: id, Env: env, Labels: s.labels,
		Network: network.Name, Memory: 64 << 20, Pids: 64,
	}
}

func (s *suite) network(name string) engine.NetworkSpec {
	return engine.NetworkSpec{Name: s.host + "-" + name, Labels: s.labels, Pools: []string{s.pool}, SubnetBits: 24}
}

func (s *suite) start(spec engine.Spec) engine.Container {
	s.Helper()
	c, err := s.Start(s.Context(), spec)
	require.NoError(s, err)
	return c
}

// ended waits until a container has stopped.
func (s *suite) ended(id string) engine.Container {
	s.Helper()
	var c engine.Container
	require.Eventually(s, func() bool {
		var err error
		c, err = s.Inspect(s.Context(), id)
		require.NoError(s, err)
		return c.State == engine.StateExited
	}, deadline, 10*time.Millisecond)
	return c
}

// get waits until a container answers and returns the body.
func (s *suite) get(c engine.Container, path string) string {
	s.Helper()
	return Get(s, net.JoinHostPort(c.Address, "5000"), path)
}

// Get returns what a server on this machine answers to GET path, and waits until it
// answers at all.
func Get(t testing.TB, address, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var body []byte
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		body, err = io.ReadAll(response.Body)
		return err == nil && response.Body.Close() == nil
	}, deadline, 5*time.Millisecond, "GET http://%s%s", address, path)
	return string(bytes.TrimSpace(body))
}

func (s *suite) info() {
	info, err := s.Info(s.Context())
	require.NoError(s, err)
	require.NotEmpty(s, info.Version)
	require.True(s, strings.HasPrefix(info.APIVersion, "1."), info.APIVersion)
	require.Positive(s, info.CPUs)
	require.Positive(s, info.Memory)
	require.NotEmpty(s, info.Root)
}
