package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/audit"
	"github.com/octohost/octohost/internal/config"
	"github.com/octohost/octohost/internal/control"
	"github.com/octohost/octohost/internal/deploy"
	"github.com/octohost/octohost/internal/edge"
	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/image"
	"github.com/octohost/octohost/internal/logs"
	"github.com/octohost/octohost/internal/node"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/oneoff"
	"github.com/octohost/octohost/internal/platform"
	"github.com/octohost/octohost/internal/proxy"
	"github.com/octohost/octohost/internal/reap"
	"github.com/octohost/octohost/internal/secret"
	"github.com/octohost/octohost/internal/sshd"
)

// build makes the rooms and shows each what it needs of the others.
func (d *Daemon) build() error {
	d.journal = platform.NewJournal(d.store, d.log)
	d.buildLogs()
	trail, err := audit.Open(audit.Config{Dir: filepath.Join(d.settings.Data, "audit"), Max: int64(d.settings.Audit.Size), Log: d.log})
	if err != nil {
		return fmt.Errorf("open audit trail: %w", err)
	}
	d.trail = trail
	for _, make := range []func() error{d.buildProxy, d.buildNode, d.buildEdge, d.buildDeploy, d.buildPlatform, d.buildSSH} {
		if err := make(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) buildProxy() (err error) {
	trusted, err := prefixes(d.settings.Proxies)
	if err != nil {
		return err
	}
	otherwise, most := d.settings.edge()
	cfg := proxy.Config{
		Listener: d.web, Trusted: trusted, Lines: d.logs.Add, Log: d.log,
		Limits:  proxy.Limits{AnswerTimeout: otherwise.Timeout.Std(), BodyBytes: int64(otherwise.Body), Most: most},
		Resolve: func(id octo.InstanceID) (string, bool) { return d.agent.Address(id) },
		Page:    func(ctx context.Context, app octo.Name, id string) (string, bool) { return d.edge.Page(ctx, app, id) },
	}
	if d.access != nil {
		cfg.AccessLog = d.access
	}
	if d.proxy, err = proxy.New(cfg); err != nil {
		return fmt.Errorf("make proxy: %w", err)
	}
	return nil
}

func (d *Daemon) buildNode() (err error) {
	name, err := nodeName(d.settings, filepath.Join(d.settings.Data, "node"))
	if err != nil {
		return fmt.Errorf("find name of node: %w", err)
	}
	d.node = name
	d.secrets = secret.New(secret.Config{Store: d.store, Node: name, File: filepath.Join(d.settings.Data, "node.key")})
	d.config = &config.Versions{Store: d.store, Sealer: d.secrets}
	d.agent, err = node.New(node.Config{
		Name: name, Host: d.host, Engine: d.engine, Store: d.store, Proxy: d.proxy,
		Env: d.config.Environment, Pools: d.settings.Networks, Record: d.record, Log: d.log,
		LastWords: d.lastWords,
		Facts:     octo.Node{Name: name, Version: d.program.Version, Started: time.Now().UTC()},
	})
	if err != nil {
		return fmt.Errorf("make node agent: %w", err)
	}
	d.prints = logs.NewCollector(logs.CollectorConfig{Host: d.host, Engine: d.engine, Archive: d.logs, Ready: d.agent.Ready(), Log: d.log})
	d.runner = oneoff.New(oneoff.Config{
		Host: d.host, Store: d.store, Engine: d.engine, Places: d.agent, Env: d.config.Environment,
		Hold:      func() func() { return d.deployer.Hold() },
		LastWords: d.lastWords,
		TaskTime:  d.settings.ReleaseTimeout.Std(), Record: d.record, Log: d.log,
	})
	d.control = control.New(control.Config{
		Node: name, Domain: d.site.domain, Store: d.store, Ready: d.agent.Ready(),
		Record: d.record, Log: d.log,
	})
	return nil
}

func (d *Daemon) buildEdge() error {
	otherwise, most := d.settings.edge()
	d.edge = edge.New(edge.Config{
		Store: d.store, Domain: d.site.domain, Router: d.proxy, Otherwise: otherwise, Most: most,
		Lookup: net.DefaultResolver.LookupHost, Record: d.record, Log: d.log,
	})
	return nil
}

func (d *Daemon) buildDeploy() error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	d.repos, err = git.New(git.Config{
		Dir: filepath.Join(d.settings.Data, "git"), Socket: filepath.Join(d.settings.Data, "hook.sock"),
		Executable: executable, MaxPush: int64(d.settings.Git.MaxPush), Free: d.makeRoom, Log: d.log,
		Deploy: d.deploy,
		Branch: func(ctx context.Context, app octo.Name) (string, error) { return d.platform.Branch(ctx, app) },
	})
	if err != nil {
		return fmt.Errorf("open repositories: %w", err)
	}
	cpu := d.settings.Build.CPU
	if cpu == 0 {
		cpu = max(1, float64(runtime.NumCPU())/2)
	}
	d.deployer = deploy.New(deploy.Config{
		Host: d.host, Store: d.store, Source: d.repos, Builder: d.builder(), Images: d.engine, Router: d.proxy, Runner: d.runner,
		Pushed: d.edge.Pushed, Readable: d.config.Readable, Defaults: d.config.Ensure, Secrets: d.config.Some, URL: d.site.url, Room: d.room, Relief: func(ctx context.Context) { d.reaper.Relieve(ctx) }, Memory: int64(d.settings.Build.Memory), CPU: cpu,
		Record: d.record, Log: d.log,
	})
	d.reaper = reap.New(reap.Config{
		Host: d.host, Store: d.store, Engine: d.engine, Idle: d.deployer.Idle,
		Repository: d.repos.Remove, Events: d.journal.ForgetEvents, Logs: d.logs.Forget, Names: d.edge.Forget, Maintain: d.repos.Maintain, Untag: d.repos.Untag,
		Networks: d.agent.SpareNetworks, Space: d.space, Keep: d.settings.Keep, Cache: int64(d.settings.Build.Cache),
		Record: d.record, Log: d.log,
	})
	return nil
}

// deploy deploys what was pushed, and tells the audit trail what came of it: that goes
// on without the client.
func (d *Daemon) deploy(ctx context.Context, push octo.Push, out io.Writer) error {
	a := push.Who.Audited(octo.AuditDeploy, push.App)
	a.Detail = map[string]string{"commit": push.New, "branch": push.Branch}
	err := d.deployer.Push(ctx, push, out)
	d.trail.Record(a.Ended(err))
	return err
}

func (d *Daemon) buildPlatform() error {
	d.platform = platform.New(platform.Config{
		Store: d.store, Archive: d.logs, Deployer: d.deployer, Trail: d.trail, Configs: d.config, Commits: d.repos.Commits, Hosts: d.edge.Hosts, URL: d.site.url, GitURL: d.site.gitURL,
		ParseKey: sshd.ParseAuthorizedKey, Record: d.record, Log: d.log,
	})
	d.api = api.NewServer(api.Config{
		Apps: d.platform, Releases: d.platform, Keys: d.platform, Access: d.platform, Activity: d.platform, Configuration: d.platform,
		Processes: d.platform, Domains: d.edge, Edge: d.edge, Runs: d.runner,
		Trail: d.platform, Audit: d.trail.Record, Collect: d.reaper.Collect,
		Authorize: d.platform.Authorize, Doctor: d.doctor, Version: d.program.Version, Log: d.log,
	})
	return nil
}

func (d *Daemon) buildSSH() error {
	key, err := sshd.LoadHostKey(filepath.Join(d.settings.Data, "ssh_host_ed25519_key"))
	if err != nil {
		return err
	}
	d.ssh = sshd.New(sshd.Config{
		Admitted: d.platform.Admitted,
		Listen:   func() (net.Listener, error) { return d.listen("ssh", d.settings.SSH) },
		HostKey:  key, Key: d.platform.Key, Keys: d.platform.WatchKeys, Authorize: d.platform.Authorize, Git: d.repos,
		CreateApp: func(ctx context.Context, who octo.Identity, app octo.Name) error {
			_, err := d.platform.CreateApp(ctx, who, app)
			return err
		},
		API: d.api.ServeStream, Audit: d.trail.Record,
		Command: func(ctx context.Context, who octo.Identity, args []string, stdio octo.Stdio, on sshd.Terminal) int {
			return d.program.Command(ctx, d.api.Handler(who), args, stdio, bool(on))
		},
		Log: d.log,
	})
	return nil
}

func (d *Daemon) builder() *image.Builder {
	cfg := image.Config{
		Engine: d.engine, Address: d.settings.Engine, Prefer: image.Preference(d.settings.Build.Builder),
		Slots: d.settings.Build.Slots, CgroupParent: d.settings.Build.Cgroup, Log: d.log,
	}
	if d.settings.Build.Buildx != "" {
		cfg.Buildx = []string{d.settings.Build.Buildx}
	}
	return image.New(cfg)
}
