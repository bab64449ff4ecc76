// Package git keeps the bare repositories that people push to, and runs the
// system's git on them. A push is received by git itself; a proc-receive hook then
// asks the daemon what becomes of each branch, so that the daemon can deploy a
// commit that is wholly stored, and answer in git's own words.
//
// It needs git 2.29 or newer.
package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// DefaultMaxPush is the largest push in bytes where Config does not say.
const DefaultMaxPush = 1 << 30

// Config is what Repos need.
type Config struct {
	Dir        string // where the repositories are: Dir/<app>.git
	Socket     string // path of the Unix socket that the hook calls
	Executable string // absolute path of the octo binary, which is the hook
	MaxPush    int64  // largest push in bytes; 0 means DefaultMaxPush

	// Deploy deploys what was pushed and tells the story on out, which never blocks
	// and never fails. Its error rejects the push. Its context ends when the daemon
	// does, not when the client goes away.
	Deploy func(ctx context.Context, push octo.Push, out io.Writer) error
	// Branch returns the only branch of an app that deploys; empty means main or
	// master.
	Branch func(ctx context.Context, app octo.Name) (string, error)
	// Free says whether there is room for a push; its error refuses it. May be nil.
	Free func() error

	Log *slog.Logger
}

// Repos are the repositories of one node.
type Repos struct {
	cfg      Config
	hidden   string // directory of everything that is not a repository
	listener *net.UnixListener
	log      *slog.Logger
	limits   limits

	queue  queue
	pushes registry
	work   group

	// base ends when Run does; pushes live under it, because they outlive their
	// clients.
	base context.Context
	stop context.CancelFunc
}

// limits are what git may use, and the patience that Repos have.
type limits struct {
	memory uint64        // of each git process, in bytes
	packs  int           // how many make a repository worth packing together; every push leaves one
	idle   time.Duration // how long a client may send nothing of its push
	finish time.Duration // how long it may take to read the end of the answer
	settle time.Duration // between the end of Run and SIGTERM
	kill   time.Duration // between SIGTERM and SIGKILL
	hello  time.Duration // how long a hook may take to say whose it is
}

func defaultLimits() limits {
	return limits{
		memory: 1 << 30,
		packs:  50,
		idle:   10 * time.Minute,
		finish: time.Minute,
		settle: 3 * time.Second,
		kill:   5 * time.Second,
		hello:  10 * time.Second,
	}
}

// New prepares the directory, removes what a crash has left there, and listens on
// the hook's socket. ErrUnavailable means that there is no git, or one too old.
func New(cfg Config) (*Repos, error) {
	if cfg.MaxPush <= 0 {
		cfg.MaxPush = DefaultMaxPush
	}
	if cfg.Free == nil {
		cfg.Free = func() error { return nil }
	}
	version, err := Version(context.Background())
	if err != nil {
		return nil, err
	}
	r := &Repos{cfg: cfg, hidden: filepath.Join(cfg.Dir, ".octo"), log: cfg.Log, limits: defaultLimits()}
	if err := r.prepare(version); err != nil {
		return nil, fmt.Errorf("prepare %s: %w", cfg.Dir, err)
	}
	if r.listener, err = listen(cfg.Socket); err != nil {
		return nil, err
	}
	r.base, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// maxSocket is the longest path of a Unix socket (unix(7)).
const maxSocket = 107

// listen opens the hook's socket for this user only.
func listen(path string) (*net.UnixListener, error) {
	if len(path) > maxSocket {
		return nil, octo.Errorf(octo.ErrInvalid, "%s is too long for the path of a socket (%d characters, at most %d)", path, len(path), maxSocket).
			WithHint("choose a data directory with a shorter path")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old hook socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for hooks: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect hook socket: %w", err), l.Close())
	}
	return l, nil
}

// Run serves hooks until ctx is done. Then deploys are told to end, git processes
// that do not end by themselves are killed, and no new push is received.
func (r *Repos) Run(ctx context.Context) error {
	defer r.stop()
	hooks := make(chan error, 1)
	go func() { hooks <- r.serveHooks() }() // ends with the listener, and is waited for below
	var err error
	select {
	case err = <-hooks:
		r.work.close()
		r.stop()
		r.work.wait()
		return err
	case <-ctx.Done():
	}
	r.work.close()
	r.stop()
	r.work.wait() // hooks of dying pushes are still served
	return errors.Join(r.listener.Close(), <-hooks)
}

// Exists reports whether app has a repository.
func (r *Repos) Exists(app octo.Name) bool {
	_, err := os.Stat(filepath.Join(r.dir(app), "HEAD"))
	return err == nil
}

// List returns the apps that have a repository, sorted.
func (r *Repos) List(_ context.Context) ([]octo.Name, error) {
	entries, err := os.ReadDir(r.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	var apps []octo.Name
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".git")
		if !ok || !e.IsDir() {
			continue
		}
		if app, err := octo.ParseName(base); err == nil {
			apps = append(apps, app)
		}
	}
	return apps, nil
}

func (r *Repos) dir(app octo.Name) string { return filepath.Join(r.cfg.Dir, string(app)+".git") }

// group counts the work under way, and takes no more once it is closed.
type group struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// enter counts one in; false means that the group is closed.
func (g *group) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.wg.Add(1)
	return true
}

func (g *group) leave() { g.wg.Done() }

// also runs f as part of work that is counted in already, and may outlive it.
func (g *group) also(f func()) { g.wg.Go(f) }

func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *group) wait() { g.wg.Wait() }
