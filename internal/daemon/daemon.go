// Package daemon wires the rooms of octohost into one process: it reads the
// settings, opens everything, runs it as one group and ends it in order. It is the
// only package that knows every other.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/audit"
	"github.com/octohost/octohost/internal/config"
	"github.com/octohost/octohost/internal/control"
	"github.com/octohost/octohost/internal/deploy"
	"github.com/octohost/octohost/internal/edge"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/logs"
	"github.com/octohost/octohost/internal/node"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/oneoff"
	"github.com/octohost/octohost/internal/platform"
	"github.com/octohost/octohost/internal/proxy"
	"github.com/octohost/octohost/internal/reap"
	"github.com/octohost/octohost/internal/secret"
	"github.com/octohost/octohost/internal/sshd"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// Program is what the daemon needs of the program that it is part of.
type Program struct {
	Version string
	// Command runs a command line that somebody sent over SSH, against the API that
	// the handler speaks for them, and returns its exit code.
	Command func(ctx context.Context, api http.Handler, args []string, stdio octo.Stdio, terminal bool) int
	Log     *slog.Logger
}

// Daemon is octo serve.
type Daemon struct {
	settings Settings
	program  Program
	log      *slog.Logger
	site     site
	host     string // value of the label octohost.host
	node     string // name of this machine

	overruled map[string]string // settings of doors that the parent has opened elsewhere

	// What must be closed, in this order.
	given  inherited
	web    net.Listener
	socket net.Listener
	store  *bolt.Store
	engine *docker.Engine
	access *accessLog

	journal  *platform.Journal
	logs     *logs.Archive
	prints   *logs.Collector
	trail    *audit.Trail
	secrets  *secret.Box
	config   *config.Versions
	platform *platform.Platform
	deployer *deploy.Deployer
	runner   *oneoff.Runner
	agent    *node.Agent
	control  *control.Loop
	reaper   *reap.Reaper
	proxy    *proxy.Proxy
	edge     *edge.Registry
	repos    *git.Repos
	api      *api.Server
	ssh      *sshd.Server
}

// New opens everything that octo serve needs; what was opened is closed again when
// something is missing.
func New(s Settings, p Program) (*Daemon, error) {
	d := &Daemon{settings: s, program: p, log: p.Log}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.build(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// open takes hold of the outside: directories, files, sockets.
func (d *Daemon) open() (err error) {
	if err := d.inherit(); err != nil {
		return err
	}
	s := d.settings
	if err := os.MkdirAll(s.Data, 0o750); err != nil {
		return octo.Errorf(octo.ErrInvalid, "cannot make the data directory: %v", err).WithHint("run octo serve as a user who may write there, or choose another with --data")
	}
	if d.store, err = bolt.Open(filepath.Join(s.Data, "octo.db")); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if d.host, err = hostID(filepath.Join(s.Data, "id")); err != nil {
		return fmt.Errorf("read id: %w", err)
	}
	if d.engine, err = docker.Open(s.Engine); err != nil {
		return fmt.Errorf("open engine: %w", err)
	}
	if d.web, err = d.listen("http", s.HTTP); err != nil {
		return err
	}
	if d.socket, err = api.ListenLocal(filepath.Join(s.Data, "octo.sock")); err != nil {
		return fmt.Errorf("open local socket: %w", err)
	}
	if d.access, err = openAccessLog(s.AccessLog); err != nil {
		return err
	}
	d.site, err = newSite(s, d.web.Addr().String(), s.SSH)
	return err
}

// close gives back what open took.
func (d *Daemon) close() error {
	errs := d.given.close()
	if d.web != nil {
		errs = errors.Join(errs, ignoreClosed(d.web.Close()))
	}
	if d.socket != nil {
		errs = errors.Join(errs, ignoreClosed(d.socket.Close()))
	}
	if d.engine != nil {
		errs = errors.Join(errs, d.engine.Close())
	}
	if d.store != nil {
		errs = errors.Join(errs, d.store.Close())
	}
	if d.access != nil {
		errs = errors.Join(errs, d.access.Close())
	}
	return errs
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// readyWait is how long visitors wait in the listener's queue for the first look at
// what runs; an engine that does not answer must not keep the error pages away.
const readyWait = 10 * time.Second

// Run serves until ctx is done, then ends in waves: first the doors of people, whose
// pushes come to their end, then that of visitors, then the leader, then what else
// works behind them. Containers go on.
func (d *Daemon) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.authorize(ctx); err != nil {
		return err
	}
	if err := d.secrets.Check(ctx); err != nil { // what runs goes on without
		d.log.Error("the configuration of apps cannot be read", "err", err)
	}
	inside, endInside := context.WithCancel(context.WithoutCancel(ctx))
	defer endInside()
	doors, endDoors := context.WithCancel(ctx)
	defer endDoors()

	work, inside := errgroup.WithContext(inside)
	stop := context.AfterFunc(inside, endDoors) // a room that fails takes the doors along
	defer stop()
	work.Go(func() error { return d.journal.Run(inside) })
	work.Go(func() error { return d.logs.Run(inside) })
	work.Go(func() error { return d.prints.Run(inside) })
	work.Go(func() error { return d.access.watchReopen(inside, d.log) })
	work.Go(func() error { return d.agent.Run(inside) })
	work.Go(func() error { return d.runner.Run(inside) })
	work.Go(func() error { return d.reaper.Run(inside) })
	work.Go(func() error { return d.repos.Run(inside) })
	work.Go(func() error { return d.edge.Run(inside) })
	work.Go(func() error { return d.feedRoutes(inside) })
	leading, endLeading := context.WithCancel(inside)
	defer endLeading()
	led := make(chan struct{})
	work.Go(func() error { defer close(led); return d.control.Run(leading) })

	err = d.runDoors(doors)
	endLeading()
	<-led // before the agent takes its report back, for nothing is to follow from that
	endInside()
	return errors.Join(err, work.Wait())
}

// runDoors serves people and visitors until ctx is done: visitors for as long as
// there are pushes that come to their end.
func (d *Daemon) runDoors(ctx context.Context) error {
	ctx, endPeople := context.WithCancel(ctx)
	defer endPeople()
	visiting, endVisitors := context.WithCancel(context.WithoutCancel(ctx))
	defer endVisitors()
	people, inside := errgroup.WithContext(ctx)
	people.Go(func() error { return d.api.ServeLocal(inside, d.socket) })
	people.Go(func() error { return d.ssh.Run(inside) })
	var doors errgroup.Group
	doors.Go(func() error { defer endVisitors(); return people.Wait() })
	doors.Go(func() error { defer endPeople(); return d.serveVisitors(visiting) })
	return doors.Wait()
}

// serveVisitors serves sites until ctx is done, as soon as it is known what runs.
func (d *Daemon) serveVisitors(ctx context.Context) error {
	select {
	case <-d.agent.Ready():
	case <-time.After(readyWait):
		d.log.Warn("serving before the container engine has answered")
	case <-ctx.Done():
		return nil
	}
	d.log.Info("serving", "url", d.site.url("APP"), "ssh", d.settings.SSH, "data", d.settings.Data)
	return d.proxy.Run(ctx)
}

// feedRoutes keeps the proxy's table as the leader wrote it.
func (d *Daemon) feedRoutes(ctx context.Context) error {
	docs := store.Docs[[]octo.Route]{Store: d.store, Prefix: store.RoutesPrefix}
	var seen map[string]store.Version
	for shards, err := range docs.Watch(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				d.log.Warn("watch of routes interrupted", "err", err)
			}
			continue
		}
		first := seen == nil
		if first {
			seen = map[string]store.Version{}
			d.proxy.SetTable(tableOf(shards)) // whole: a part of it would call the other sites unknown
		}
		for _, s := range shards {
			if !first && seen[s.Name] != s.Version {
				d.proxy.SetShard(s.Name, s.Value)
			}
			seen[s.Name] = s.Version
		}
	}
	return nil
}

func tableOf(shards []store.Doc[[]octo.Route]) map[string][]octo.Route {
	table := make(map[string][]octo.Route, len(shards))
	for _, s := range shards {
		table[s.Name] = s.Value
	}
	return table
}
