// Package node makes this machine match what the leader wants of it: it starts and
// stops containers, probes whether they are healthy, drains those that must go, and
// reports what runs. It is level-triggered: everything that happens only makes it
// look again, and what it does follows from what it sees.
package node

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Lifecycle is what the agent does with containers.
type Lifecycle interface {
	EnsureNetwork(ctx context.Context, spec engine.NetworkSpec) (engine.Network, error)
	Start(ctx context.Context, spec engine.Spec) (engine.Container, error)
	Restart(ctx context.Context, id string) (engine.Container, error)
	Stop(ctx context.Context, id string, grace time.Duration) error
	Remove(ctx context.Context, id string) error
	List(ctx context.Context, labels map[string]string) ([]engine.Container, error)
	Events(ctx context.Context, labels map[string]string) iter.Seq2[engine.Event, error]
}

// Inspector is what the agent looks at in one container.
type Inspector interface {
	Inspect(ctx context.Context, id string) (engine.Container, error)
	Logs(ctx context.Context, id string, opts engine.LogOptions) iter.Seq2[engine.LogLine, error]
	Memory(ctx context.Context, id string) (int64, error)
	// Exec runs a health command.
	Exec(ctx context.Context, id string, spec engine.ExecSpec) (engine.Session, error)
}

// Engine is the container engine of this machine.
type Engine interface {
	Lifecycle
	Inspector
	Networker
}

// Proxy is what the agent asks of the proxy before it stops an instance.
type Proxy interface {
	// Drain waits until no request to the instance is in flight. When ctx ends before,
	// the others are cut, and counted.
	Drain(ctx context.Context, id octo.InstanceID) (cut int, err error)
	// Forget drops everything about an instance that is gone.
	Forget(id octo.InstanceID)
}

// Config is what an Agent needs. Env and LastWords may be nil; all the others must be
// set.
type Config struct {
	Name   string // this node's
	Host   string // value of the label octohost.host: whose objects are ours
	Engine Engine
	Store  store.Store
	Proxy  Proxy
	// Env returns the app's configuration, decrypted: variables as NAME=value, and
	// files.
	Env func(ctx context.Context, r octo.Release) ([]string, []engine.File, error)
	// LastWords takes what a container has printed that is about to be removed.
	LastWords func(ctx context.Context, box engine.Container) error

	Pools  []string         // prefixes in CIDR notation from which networks are made
	Record func(octo.Event) // never called by two goroutines at once
	Log    *slog.Logger
	Facts  octo.Node // what nodes/<node> says
}

// Agent makes this machine match want/<node>.
type Agent struct {
	cfg   Config
	ready chan struct{}
	once  sync.Once // closes ready

	networks *networks

	// addresses are where instances are reached now, by id: string by InstanceID.
	// Only the loop of Run writes them; reading takes no lock.
	addresses sync.Map

	checks checks // replaced by tests
}

// checks are the ways to ask an instance from outside how it is.
type checks struct {
	ask   func(ctx context.Context, t target, connect, limit time.Duration) answer
	knock func(ctx context.Context, address string, limit time.Duration) bool
	proc  string // where the kernel tells about processes
}

// New returns an Agent, or an error when cfg lacks something.
func New(cfg Config) (*Agent, error) {
	switch {
	case cfg.Name == "" || cfg.Host == "":
		return nil, errors.New("node agent needs a name and a host")
	case cfg.Engine == nil || cfg.Store == nil || cfg.Proxy == nil:
		return nil, errors.New("node agent needs an engine, a store and a proxy")
	case cfg.Record == nil || cfg.Log == nil:
		return nil, errors.New("node agent needs a record and a log")
	}
	return &Agent{
		cfg: cfg, ready: make(chan struct{}), networks: newNetworks(&cfg),
		checks: checks{ask: ask, knock: knock, proc: "/proc"},
	}, nil
}

// Run makes the machine match until ctx is done, and then returns nil. Containers go
// on running; the next Run adopts them.
func (a *Agent) Run(ctx context.Context) error {
	l := newLoop(ctx, a)
	l.run()
	a.addresses.Clear()
	return nil
}

// Ready is closed when have/<node> was written for the first time: when what runs
// has been looked at.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Address returns host:port of an instance whose container is known to be the one
// that is meant, and to run; false on any doubt. It takes no lock.
func (a *Agent) Address(id octo.InstanceID) (string, bool) {
	v, ok := a.addresses.Load(id)
	if !ok {
		return "", false
	}
	address, ok := v.(string)
	return address, ok
}
