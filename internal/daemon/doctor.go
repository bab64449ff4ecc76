package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/octo"
)

// engineWait bounds how long anything waits to hear whether the engine is there.
const engineWait = 5 * time.Second

// patient is what the doctor looks at.
type patient struct {
	settings Settings
	site     site
	engine   func(context.Context) (engine.Info, error)
	secrets  func(context.Context) error               // looks at the keys of the configuration; nil when no daemon runs
	keys     func(context.Context) ([]octo.Key, error) // of people; nil when no daemon runs
	running  bool                                      // as part of the daemon that has the ports

	overruled map[string]string // settings of doors that somebody else opened at another port
	held      string            // where systemd keeps the port of sites open while no daemon runs
}

// check is one thing that the doctor looks at.
type check struct {
	name string
	look func(context.Context, *patient) octo.Finding
}

func checks() []check {
	return []check{
		{"daemon", checkDaemon},
		{"engine", checkEngine},
		{"git", checkGit},
		{"isolation", checkIsolation},
		{"data", checkData},
		{"secrets", checkSecrets},
		{"keys", checkKeys},
		{"disk", checkDisk},
		{"logs", checkLogs},
		{"http port", checkHTTP},
		{"ssh port", checkSSH},
		{"dns", checkDNS},
		{"clock", checkClock},
	}
}

// Doctor looks at the machine when no daemon runs.
func Doctor(ctx context.Context, s Settings) []octo.Finding {
	e, err := docker.Open(s.Engine)
	if err != nil {
		return []octo.Finding{problem("set engine in octo.toml to the address of Docker's socket", "the engine's address is no good: %v", err)}
	}
	defer e.Close() //nolint:errcheck // nothing was written
	where, err := newSite(s, s.HTTP, s.SSH)
	if err != nil {
		return []octo.Finding{problem("", "%v", err)}
	}
	return examine(ctx, &patient{settings: s, site: where, engine: e.Info, held: heldOpen(ctx)})
}

// doctor looks at the machine from inside the daemon.
func (d *Daemon) doctor(ctx context.Context) []octo.Finding {
	return examine(ctx, &patient{settings: d.settings, site: d.site, engine: d.engine.Info, secrets: d.secrets.Check, keys: d.allKeys, running: true, overruled: d.overruled})
}

func examine(ctx context.Context, p *patient) []octo.Finding {
	var findings []octo.Finding
	for _, c := range checks() {
		began := time.Now()
		f := c.look(ctx, p)
		f.Check, f.Took = c.name, time.Since(began)
		findings = append(findings, f)
	}
	return findings
}

func fine(format string, args ...any) octo.Finding {
	return octo.Finding{Level: octo.FindingOK, Message: fmt.Sprintf(format, args...)}
}

func warning(remedy, format string, args ...any) octo.Finding {
	return octo.Finding{Level: octo.FindingWarning, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

func problem(remedy, format string, args ...any) octo.Finding {
	return octo.Finding{Level: octo.FindingProblem, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

func checkDaemon(_ context.Context, p *patient) octo.Finding {
	if p.running {
		return fine("octo serve is running, data in %s", p.settings.Data)
	}
	if p.held != "" {
		return problem("start it: systemctl start octohost. To keep it stopped: systemctl stop octohost.socket octohost",
			"octo serve is not running; the next visitor would start it (%s)", socketUnit)
	}
	return problem("start it: systemctl start octohost, or octo serve", "octo serve is not running")
}

// minAPI is the oldest version of Docker's API that is tested.
const minAPI = "1.41"

func checkEngine(ctx context.Context, p *patient) octo.Finding {
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	info, err := p.engine(ctx)
	var e *octo.Error
	switch {
	case errors.As(err, &e):
		return problem(e.Hint, "%s", e.Message)
	case err != nil:
		return problem("install and start Docker: apt install docker.io", "%v", err)
	case olderThan(info.APIVersion, minAPI):
		return problem("install Docker Engine 20.10 or later", "Docker %s (API %s) is too old", info.Version, info.APIVersion)
	}
	return fine("Docker %s (API %s, %s, %d cores, %s)", info.Version, info.APIVersion, info.Driver, info.CPUs, octo.Size(info.Memory))
}

// minGit is the first version with the proc-receive hook.
const minGit = "2.29"

func checkGit(ctx context.Context, _ *patient) octo.Finding {
	out, err := exec.CommandContext(ctx, "git", "version").Output()
	if err != nil {
		return problem("apt install git", "git is not installed: %v", err)
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(out)), "git version ")
	if olderThan(version, minGit) {
		return problem("install git "+minGit+" or later", "git %s is too old", version)
	}
	return fine("git %s", version)
}

// olderThan compares the first two numbers of dotted versions.
func olderThan(version, than string) bool {
	number := func(s string, i int) int {
		parts := strings.Split(s, ".")
		if i >= len(parts) {
			return 0
		}
		n, _ := strconv.Atoi(parts[i]) // what is not a number counts as 0
		return n
	}
	for i := range 2 {
		if a, b := number(version, i), number(than, i); a != b {
			return a < b
		}
	}
	return false
}

// checkIsolation looks at the switch that makes frames between containers of one
// bridge pass the firewall, without which they could reach each other.
func checkIsolation(context.Context, *patient) octo.Finding {
	text, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if errors.Is(err, fs.ErrNotExist) {
		return warning("modprobe br_netfilter (Docker does it when the first app is deployed)", "the kernel's bridge filter is not loaded yet")
	}
	if err == nil && strings.TrimSpace(string(text)) != "1" {
		return problem("sysctl -w net.bridge.bridge-nf-call-iptables=1, and keep it in /etc/sysctl.d", "apps can reach each other's containers: net.bridge.bridge-nf-call-iptables is off")
	}
	return fine("containers cannot reach each other")
}

func checkData(_ context.Context, p *patient) octo.Finding {
	dir := p.settings.Data
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warning("octo serve makes it", "%s does not exist yet", dir)
	case err != nil:
		return problem("run octo as root or as a member of group octo", "cannot look at %s: %v", dir, err)
	case st.Mode().Perm()&0o007 != 0:
		return problem("chmod o-rwx "+dir, "everybody on this machine may look into %s", dir)
	}
	if key, err := os.Stat(filepath.Join(dir, "ssh_host_ed25519_key")); err == nil && key.Mode().Perm()&0o077 != 0 {
		return problem("chmod 600 "+filepath.Join(dir, "ssh_host_ed25519_key"), "others may read the SSH host key")
	}
	return fine("%s is private", dir)
}

func checkSecrets(ctx context.Context, p *patient) octo.Finding {
	if p.secrets == nil {
		return fine("octo serve looks at its keys when it starts")
	}
	err := p.secrets(ctx)
	var e *octo.Error
	switch {
	case errors.As(err, &e):
		return problem(e.Hint, "%s", e.Message)
	case err != nil:
		return problem("", "%v", err)
	}
	return fine("the configuration of apps can be read")
}

func checkDisk(ctx context.Context, p *patient) octo.Finding {
	dirs := []string{p.settings.Data}
	if info, err := p.engine(ctx); err == nil {
		dirs = append(dirs, info.Root)
	}
	var seen []string
	for _, dir := range dirs {
		free, err := freeBytes(dir)
		if err != nil {
			continue
		}
		if free < p.settings.DiskFloor {
			return problem("octo gc --all; octo apps:destroy what is no longer used; docker system prune; or lower disk_floor", "only %s free on the disk of %s: pushes are refused below %s", free, dir, p.settings.DiskFloor)
		}
		seen = append(seen, fmt.Sprintf("%s free on the disk of %s", free, dir))
	}
	return fine("%s", strings.Join(seen, ", "))
}

func checkHTTP(ctx context.Context, p *patient) octo.Finding {
	return checkPort(ctx, p, "http", p.settings.HTTP)
}

func checkSSH(ctx context.Context, p *patient) octo.Finding {
	f := checkPort(ctx, p, "ssh", p.settings.SSH)
	if p.running && f.Level == octo.FindingProblem {
		f.Remedy = "it opens when the first key is added: octo keys:add ~/.ssh/id_ed25519.pub"
	}
	return f
}

// checkPort asks whether the daemon answers on its port or, when it does not run,
// whether the port is free.
func checkPort(ctx context.Context, p *patient, what, addr string) octo.Finding {
	if !p.running && what == "http" && p.held != "" {
		return checkHeld(p.held, addr)
	}
	if !p.running {
		l, err := listen(what, addr)
		var e *octo.Error
		if errors.As(err, &e) {
			return problem(e.Hint, "%s", e.Message)
		}
		_ = l.Close() // it was only tried
		return fine("%s is free", addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return problem("", "%v", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if said := p.overruled[what]; said != "" {
		return overruled(addr, said)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return problem("look at the log: journalctl -u octohost", "nobody answers on %s", addr)
	}
	_ = conn.Close() // it was only asked
	return fine("listening on %s", addr)
}

func checkDNS(ctx context.Context, p *patient) octo.Finding {
	domain := p.site.domain
	if domain == "localhost" {
		return warning("set domain in octo.toml (and http to :80) to be reached from elsewhere", "apps are served at *.localhost, from this machine only")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	name := "octo-doctor." + domain
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return warning("point a wildcard record at this machine: *."+domain+" A "+outboundIP().String(), "%s does not resolve", name)
	}
	own := outboundIP().String()
	for _, a := range addrs {
		if a == own || net.ParseIP(a).IsLoopback() {
			return fine("*.%s leads here (%s)", domain, a)
		}
	}
	return warning("fine behind a load balancer or NAT; else point *."+domain+" at "+own, "*.%s leads to %s, this machine is %s", domain, strings.Join(addrs, ", "), own)
}

// checkClock asks the kernel whether anything keeps the clock in time (adjtimex(2)).
func checkClock(context.Context, *patient) octo.Finding {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		return warning("", "cannot ask the kernel about the clock: %v", err)
	case time.Now().Year() < 2025:
		return problem("set it: timedatectl set-ntp true", "the clock says %s", time.Now().Format(time.DateTime))
	case state == unix.TIME_ERROR:
		return warning("keep it in time: apt install systemd-timesyncd or chrony", "the clock is not synchronised")
	}
	return fine("the clock is synchronised")
}
