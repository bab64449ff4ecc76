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
	maxCount     = 100
	minMemory    = 6 << 20 // the engine's own
	maxMemory    = 16 << 40
	minTimeout   = time.Second
	maxWait      = time.Hour
	minCPU       = 0.01
	maxCPU       = 1024
	maxPids      = 1 << 20
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
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
		{"count", outside(p.Count, 0, maxCount), fmt.Sprintf("between 0 and %d", maxCount)},
		{"port", outside(p.Port, 1, 65535), "between 1 and 65535"},
		{"health_path", p.HealthPath != "" && !goodPath(p.HealthPath), "a path that begins with a slash, without spaces"},
		{"health_timeout", outside(p.HealthTimeout, octo.Duration(minTimeout), octo.Duration(maxWait)), fmt.Sprintf("between %s and %s", minTimeout, maxWait)},
		{"drain", outside(p.Drain, 0, octo.Duration(maxWait)), fmt.Sprintf("at most %s", maxWait)},
		{"grace", outside(p.Grace, 0, octo.Duration(maxWait)), fmt.Sprintf("at most %s", maxWait)},
		{"memory", outside(p.Memory, minMemory, maxMemory), fmt.Sprintf("between %s and %s, with its unit: 256m", octo.Size(minMemory), octo.Size(maxMemory))},
		{"cpu", outside(p.CPU, minCPU, maxCPU), fmt.Sprintf("a number of cores between %g and %d", minCPU, maxCPU)},
		{"pids", outside(p.Pids, 1, maxPids), fmt.Sprintf("between 1 and %d", maxPids)},
	} {
		if r.bad {
			return &problem{append(toml.Key(table), r.key), r.key + " must be " + r.want, ""}
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
