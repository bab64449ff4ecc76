package manifest

import (
	"fmt"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/octohost/octohost/internal/octo"
)

// The limits of what a repository may ask for.
const (
	maxProcesses = 50
	minTimeout   = time.Second
	maxWait      = time.Hour
	maxRetries   = 100
	maxPath      = 1024 // bytes
	maxCommand   = 32 << 10
)

// problem is something that is wrong with a key.
type problem struct {
	key           toml.Key
	message, hint string
}

// check says what is wrong first, or nil.
func (m Manifest) check() *problem {
	if m.Build.Dockerfile != "" && !inside(m.Build.Dockerfile) {
		return &problem{toml.Key{"build", "dockerfile"}, fmt.Sprintf("dockerfile is %.64q", m.Build.Dockerfile), "give a path inside the repository, for example docker/Dockerfile"}
	}
	if bad := m.Build.checkSecrets(); bad != nil {
		return bad
	}
	for key, said := range map[string]bool{"command": m.Deploy.Command != nil, "count": m.Deploy.Count != nil} {
		if said {
			return &problem{toml.Key{"deploy", key}, key + " does not belong in [deploy]", "write it below [processes.web]"}
		}
	}
	for _, name := range sortedKeys(m.Processes) {
		if m.Processes[name].Release != nil {
			return &problem{toml.Key{"processes", name, "release"}, "release does not belong in [processes." + name + "]", "write it below [deploy]: it runs once for all"}
		}
	}
	if bad := m.Deploy.check("deploy"); bad != nil {
		return bad
	}
	if len(m.Processes) > maxProcesses {
		return &problem{toml.Key{"processes"}, fmt.Sprintf("there are more than %d processes", maxProcesses), ""}
	}
	for _, name := range sortedKeys(m.Processes) {
		if _, err := octo.ParseName(name); err != nil {
			return &problem{toml.Key{"processes", name}, err.Error(), ""}
		}
		if bad := m.Processes[name].check("processes", name); bad != nil {
			return bad
		}
	}
	return nil
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// check says what is wrong first with the process in a table, or nil.
func (p Process) check(table ...string) *problem {
	for _, r := range []struct {
		key  string
		bad  bool
		want string
	}{
		{"count", outside(p.Count, 0, octo.MaxCount), fmt.Sprintf("between 0 and %d", octo.MaxCount)},
		{"port", outside(p.Port, 1, 65535), "between 1 and 65535"},
		{"health_path", p.HealthPath != "" && !goodPath(p.HealthPath), "a path that begins with a slash, without spaces"},
		{"check", !p.goodCheck(), "http, tcp, cmd or none"},
		{"health_timeout", outside(p.HealthTimeout, octo.Duration(minTimeout), octo.Duration(maxWait)), fmt.Sprintf("between %s and %s", minTimeout, maxWait)},
		{"health_interval", outside(p.HealthInterval, octo.Duration(minTimeout), octo.Duration(maxWait)), fmt.Sprintf("between %s and %s", minTimeout, maxWait)},
		{"health_check_timeout", outside(p.HealthCheckTimeout, octo.Duration(minTimeout), octo.Duration(maxWait)), fmt.Sprintf("between %s and %s", minTimeout, maxWait)},
		{"health_retries", outside(p.HealthRetries, 1, maxRetries), fmt.Sprintf("between 1 and %d", maxRetries)},
		{"drain", outside(p.Drain, 0, octo.Duration(maxWait)), fmt.Sprintf("at most %s", maxWait)},
		{"grace", outside(p.Grace, 0, octo.Duration(maxWait)), fmt.Sprintf("at most %s", maxWait)},
		{"memory", outside(p.Memory, octo.MinMemory, octo.MaxMemory), fmt.Sprintf("between %s and %s, with its unit: 256m", octo.Size(octo.MinMemory), octo.Size(octo.MaxMemory))},
		{"cpu", outside(p.CPU, octo.MinCPU, octo.MaxCPU), fmt.Sprintf("a number of cores between %g and %d", octo.MinCPU, octo.MaxCPU)},
		{"pids", outside(p.Pids, 1, octo.MaxPids), fmt.Sprintf("between 1 and %d", octo.MaxPids)},
	} {
		if r.bad {
			return &problem{append(toml.Key(table), r.key), r.key + " must be " + r.want, ""}
		}
	}
	return p.checkTogether(table)
}

func (p Process) goodCheck() bool {
	return slices.Contains([]octo.CheckKind{"", octo.CheckHTTP, octo.CheckTCP, octo.CheckCmd, octo.CheckNone}, p.Check)
}

// checkTogether says which keys of a table contradict each other, or nil.
func (p Process) checkTogether(table []string) *problem {
	for _, r := range []struct {
		key, message, hint string
		bad                bool
	}{
		{"count", "count of a singleton must be 0 or 1", "leave out singleton, or write count = 1", p.Singleton != nil && *p.Singleton && outside(p.Count, 0, 1)},
		{"health_path", fmt.Sprintf("health_path means nothing where check is %q", p.Check), "write check = \"http\", or leave out health_path", p.HealthPath != "" && p.Check != "" && p.Check != octo.CheckHTTP},
		{"health_command", fmt.Sprintf("health_command means nothing where check is %q", p.Check), "write check = \"cmd\", or leave out health_command", p.HealthCommand != nil && p.Check != "" && p.Check != octo.CheckCmd},
		{"health_path", "health_path and health_command exclude each other", "leave out one of them", p.HealthPath != "" && p.HealthCommand != nil},
	} {
		if r.bad {
			return &problem{append(toml.Key(table), r.key), r.message, r.hint}
		}
	}
	return nil
}

// outside reports whether v is said, and not between least and most.
func outside[T int | int64 | float64 | octo.Duration | octo.Size](v *T, least, most T) bool {
	return v != nil && !(*v >= least && *v <= most) //nolint:staticcheck // so that NaN is outside
}

func goodPath(p string) bool {
	return p[0] == '/' && len(p) <= maxPath && !hasControl(p) && !slices.ContainsFunc([]rune(p), func(c rune) bool { return c == ' ' || c == '#' })
}
