package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/ring"
)

// Settings are what an operator decides: defaults, then the configuration file, then
// OCTO_* variables, then flags, each over the one before.
type Settings struct {
	Data      string   `toml:"data"`      // directory of everything that must survive
	HTTP      string   `toml:"http"`      // host:port where sites are served
	SSH       string   `toml:"ssh"`       // host:port of git push and remote commands
	Domain    string   `toml:"domain"`    // apps answer on <app>.<domain>; empty: found by itself
	Authorize string   `toml:"authorize"` // file of public keys to admit at the start
	Node      string   `toml:"node"`      // this machine's name; empty: its host name
	Engine    string   `toml:"engine"`    // address of the container engine; empty: DOCKER_HOST, or Docker's own
	LogLevel  string   `toml:"log_level"` // debug, info, warn or error
	AccessLog string   `toml:"access_log"`
	Networks  []string `toml:"networks"`        // CIDR prefixes that container networks may take subnets from
	Proxies   []string `toml:"trusted_proxies"` // CIDR prefixes of proxies in front, whose X-Forwarded-* is believed

	DiskFloor octo.Size `toml:"disk_floor"`    // below this much free space nothing is pushed or built
	Keep      int       `toml:"keep_releases"` // releases of each app whose images are kept

	ReleaseTimeout octo.Duration `toml:"release_timeout"` // how long a release command may run

	Build struct {
		Builder string    `toml:"builder"`       // auto, classic or buildkit
		Buildx  string    `toml:"buildx"`        // path of docker-buildx; empty: found by itself
		Memory  octo.Size `toml:"memory"`        // limit of a build step
		CPU     float64   `toml:"cpu"`           // limit of a build step in cores; 0: half of the machine's
		Cache   octo.Size `toml:"cache"`         // what BuildKit may keep for later builds
		Slots   int       `toml:"slots"`         // builds at a time
		Cgroup  string    `toml:"cgroup_parent"` // where BuildKit's steps run
	} `toml:"build"`

	Logs struct {
		Size octo.Size `toml:"size"` // of what is kept of each app's log
	} `toml:"logs"`

	// Proxy is what the proxy grants apps: those that set nothing, and at most.
	Proxy struct {
		Timeout    octo.Duration `toml:"timeout"`     // until an app begins to answer
		MaxTimeout octo.Duration `toml:"max_timeout"` // that an app may set
		Body       octo.Size     `toml:"body"`        // of a request; 0: no limit
		MaxBody    octo.Size     `toml:"max_body"`    // that an app may set; 0: no limit
	} `toml:"proxy"`

	Audit struct {
		Size octo.Size `toml:"size"` // of all that is kept of who did what
	} `toml:"audit"`

	Git struct {
		MaxPush octo.Size `toml:"max_push"` // largest pack that is accepted
	} `toml:"git"`
}

// Level is the least level that is logged.
func (s *Settings) Level() slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(s.LogLevel)) // it was checked
	return l
}

// DefaultConfig is where the configuration file is looked for when none is named.
const DefaultConfig = "/etc/octohost/octo.toml"

// Defaults returns the settings of somebody who decided nothing: everything listens
// on loopback only.
func Defaults() Settings {
	s := Settings{
		Data: "/var/lib/octohost", HTTP: "127.0.0.1:8080", SSH: "127.0.0.1:2222",
		LogLevel: "info", Networks: []string{"10.213.0.0/16", "172.29.0.0/16", "192.168.192.0/18"},
		DiskFloor: 1 << 30, Keep: 5, ReleaseTimeout: octo.Duration(time.Hour),
	}
	s.Build.Builder, s.Build.Memory, s.Build.Slots, s.Build.Cache = "auto", 2<<30, 1, 10<<30
	s.Git.MaxPush, s.Audit.Size, s.Logs.Size = 1<<30, 50<<20, 50<<20
	s.Proxy.Timeout, s.Proxy.MaxTimeout = octo.Duration(time.Minute), octo.Duration(time.Hour)
	return s
}

// edge returns what the proxy grants apps that set nothing, and at most.
func (s *Settings) edge() (otherwise, most octo.Edge) {
	return octo.Edge{Timeout: s.Proxy.Timeout, Body: s.Proxy.Body}, octo.Edge{Timeout: s.Proxy.MaxTimeout, Body: s.Proxy.MaxBody}
}

// Load reads the settings. path names the configuration file; "" means DefaultConfig,
// which need not exist. flags changes what the command line says. Errors are of kind
// octo.ErrInvalid and name the line, variable or key.
func Load(path string, getenv func(string) string, flags func(*Settings)) (Settings, error) {
	s := Defaults()
	if path == "" {
		path = getenv("OCTO_CONFIG")
	}
	if err := s.readFile(path); err != nil {
		return s, err
	}
	if err := s.readEnv(getenv); err != nil {
		return s, err
	}
	flags(&s)
	return s, s.check()
}

func (s *Settings) readFile(path string) error {
	optional := path == ""
	if optional {
		path = DefaultConfig
	}
	text, err := os.ReadFile(path)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return octo.Errorf(octo.ErrInvalid, "cannot read the configuration: %v", err)
	}
	return manifest.Decode(filepath.Base(path), text, s)
}

// readEnv sets what a variable says.
func (s *Settings) readEnv(getenv func(string) string) error {
	for name, into := range map[string]any{
		"OCTO_DATA": &s.Data, "OCTO_HTTP": &s.HTTP, "OCTO_SSH": &s.SSH, "OCTO_DOMAIN": &s.Domain,
		"OCTO_AUTHORIZE": &s.Authorize, "OCTO_NODE": &s.Node, "OCTO_ENGINE": &s.Engine,
		"OCTO_LOG_LEVEL": &s.LogLevel, "OCTO_ACCESS_LOG": &s.AccessLog, "OCTO_DISK_FLOOR": &s.DiskFloor,
		"OCTO_BUILDER": &s.Build.Builder, "OCTO_BUILDX": &s.Build.Buildx,
	} {
		value := getenv(name)
		if value == "" {
			continue
		}
		switch into := into.(type) {
		case *string:
			*into = value
		case *octo.Size:
			if err := into.UnmarshalText([]byte(value)); err != nil {
				return octo.Errorf(octo.ErrInvalid, "%s is %q, which is not a size", name, value).WithHint("write for example 512M or 2GiB")
			}
		}
	}
	return nil
}

func (s *Settings) check() error {
	for _, c := range []struct {
		ok            bool
		message, hint string
	}{
		{filepath.IsAbs(s.Data), "data must be an absolute path: " + strconv.Quote(s.Data), "for example /var/lib/octohost"},
		{s.Keep >= 1, "keep_releases must be at least 1", ""},
		{s.Logs.Size >= ring.MinMax, "logs.size is " + s.Logs.Size.String() + ", which holds next to nothing", "write for example 50MiB"},
		{s.ReleaseTimeout > 0, "release_timeout must be longer than nothing", "for example 30m"},
		{s.Build.Slots >= 1, "build.slots must be at least 1", ""},
		{s.Proxy.Timeout > 0 && s.Proxy.MaxTimeout >= s.Proxy.Timeout, "proxy.timeout is " + s.Proxy.Timeout.Std().String() + ", and proxy.max_timeout " + s.Proxy.MaxTimeout.Std().String(), "both are longer than nothing, and the second is at least as long as the first"},
		{s.Proxy.MaxBody == 0 || s.Proxy.Body <= s.Proxy.MaxBody, "proxy.body is " + s.Proxy.Body.String() + ", and proxy.max_body " + s.Proxy.MaxBody.String(), "where there is a max_body, body is at most that"},
		{len(s.Networks) > 0, "networks is empty", "leave it out, or name a private prefix such as 10.213.0.0/16"},
		{slices.Contains([]string{"auto", "classic", "buildkit"}, s.Build.Builder), "build.builder is " + strconv.Quote(s.Build.Builder), "it may be auto, classic or buildkit"},
		{slices.Contains([]string{"debug", "info", "warn", "error"}, s.LogLevel), "log_level is " + strconv.Quote(s.LogLevel), "it may be debug, info, warn or error"},
		{s.Domain == strings.ToLower(s.Domain) && !strings.ContainsAny(s.Domain, "/: "), "domain is " + strconv.Quote(s.Domain), "give a bare host name in lower case, for example example.com"},
	} {
		if !c.ok {
			return &octo.Error{Kind: octo.ErrInvalid, Message: c.message, Hint: c.hint}
		}
	}
	return nil
}
