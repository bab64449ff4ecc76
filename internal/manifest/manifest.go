// Package manifest reads what a repository says about itself: octohost.toml and
// Procfile.
package manifest

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Name is the name of the file, at the root of a repository.
const Name = "octohost.toml"

// Manifest is the content of octohost.toml. The zero value says nothing.
type Manifest struct {
	Build struct {
		Dockerfile string `toml:"dockerfile"` // path in the repository; default Dockerfile
	} `toml:"build"`
	Deploy    Process            `toml:"deploy"`    // of the web process
	Processes map[string]Process `toml:"processes"` // by name; over what Deploy says of web
}

// Process is what octohost.toml says of a process. What is zero is not said.
type Process struct {
	Command       Command       `toml:"command"`
	Count         *int          `toml:"count"`
	Port          int           `toml:"port"`
	HealthPath    string        `toml:"health_path"`
	HealthTimeout octo.Duration `toml:"health_timeout"`
	Drain         octo.Duration `toml:"drain"`
	Grace         octo.Duration `toml:"grace"`
	Memory        octo.Size     `toml:"memory"`
	CPU           float64       `toml:"cpu"`
	Pids          int64         `toml:"pids"`
}

// Command is argv, written as a list or as one string.
type Command []string

// UnmarshalTOML reads either form.
func (c *Command) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		argv, err := split(v)
		*c = argv
		return err
	case []any:
		for _, word := range v {
			s, ok := word.(string)
			if !ok {
				return octo.Errorf(octo.ErrInvalid, "a command is a list of strings, not %v", word)
			}
			*c = append(*c, s)
		}
		if len(v) > 0 {
			return nil
		}
	}
	return octo.Errorf(octo.ErrInvalid, "a command is a string, or a list of strings")
}

// Parse reads octohost.toml. Errors are of kind octo.ErrInvalid and name the line.
func Parse(text []byte) (Manifest, error) {
	var m Manifest
	if err := Decode(Name, text, &m); err != nil {
		return Manifest{}, err
	}
	return m, m.check()
}

// Dockerfile returns the path of the Dockerfile in the repository.
func (m Manifest) Dockerfile() string {
	if m.Build.Dockerfile == "" {
		return "Dockerfile"
	}
	return path.Clean(m.Build.Dockerfile)
}

func (m Manifest) check() error {
	d := m.Build.Dockerfile
	if strings.HasPrefix(d, "/") || strings.HasPrefix(path.Clean(d), "..") || strings.ContainsAny(d, "\x00\n\\") {
		return octo.Errorf(octo.ErrInvalid, "%s: [build] dockerfile is %q", Name, d).WithHint("give a path inside the repository, for example docker/Dockerfile")
	}
	if m.Deploy.Command != nil || m.Deploy.Count != nil {
		return octo.Errorf(octo.ErrInvalid, "%s: command and count do not belong in [deploy]", Name).WithHint("write them below [processes.web]")
	}
	if err := m.Deploy.check("deploy"); err != nil {
		return err
	}
	for name, p := range m.Processes {
		if _, err := octo.ParseName(name); err != nil {
			return octo.Errorf(octo.ErrInvalid, "%s: [processes.%.64s]: %v", Name, name, err)
		}
		if err := p.check("processes." + name); err != nil {
			return err
		}
	}
	return nil
}

// The limits of what a repository may ask for.
const (
	maxCount   = 100
	minMemory  = 6 << 20 // the engine's own
	maxWait    = time.Hour
	maxCPU     = 1024
	maxPids    = 1 << 20
	maxCommand = 32 << 10
)

func (p Process) check(table string) error {
	bad := func(format string, args ...any) error {
		return octo.Errorf(octo.ErrInvalid, "%s: [%s] %s", Name, table, fmt.Sprintf(format, args...))
	}
	switch {
	case p.Port < 0 || p.Port > 65535:
		return bad("port is %d, it must be between 1 and 65535", p.Port)
	case p.Count != nil && (*p.Count < 0 || *p.Count > maxCount):
		return bad("count is %d, it must be between 0 and %d", *p.Count, maxCount)
	case p.HealthPath != "" && (p.HealthPath[0] != '/' || strings.ContainsAny(p.HealthPath, " \r\n\x00#")):
		return bad("health_path is %q, it must begin with a slash", p.HealthPath)
	case p.Memory != 0 && p.Memory < minMemory:
		return bad("memory is %s, the least is %s", p.Memory, octo.Size(minMemory))
	case !(p.CPU >= 0 && p.CPU <= maxCPU):
		return bad("cpu is %g, it is a number of cores", p.CPU)
	case p.Pids < 0 || p.Pids > maxPids:
		return bad("pids is %d, it must be between 1 and %d", p.Pids, maxPids)
	}
	for name, d := range map[string]octo.Duration{"health_timeout": p.HealthTimeout, "drain": p.Drain, "grace": p.Grace} {
		if d.Std() > maxWait {
			return bad("%s is %s, the most is %s", name, d.Std(), maxWait)
		}
	}
	return nil
}
