// Package manifest reads what a repository says about itself: octohost.toml, Procfile
// and app.json.
package manifest

import (
	"path"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/octohost/octohost/internal/octo"
)

// Name is the name of the file, at the root of a repository.
const Name = "octohost.toml"

// Manifest is the content of octohost.toml. The zero value says nothing.
type Manifest struct {
	Build     Build              `toml:"build"`
	Deploy    Process            `toml:"deploy"`    // of the web process
	Processes map[string]Process `toml:"processes"` // by name; over what Deploy says of web
}

// Build is what octohost.toml says of the build.
type Build struct {
	Dockerfile string `toml:"dockerfile"` // path in the repository; default Dockerfile
	// Secrets are variables of the app's configuration that RUN --mount=type=secret
	// finds during the build.
	Secrets []string `toml:"secrets"`
}

// Process is what octohost.toml says of a process. What is nil or zero is not said.
type Process struct {
	Command   Command `toml:"command"`
	Count     *int    `toml:"count"`
	Singleton *bool   `toml:"singleton"`
	Port      *int    `toml:"port"`
	Release   Command `toml:"release"` // of [deploy] only: runs before a release does

	Check              octo.CheckKind `toml:"check"`
	HealthPath         string         `toml:"health_path"`
	HealthCommand      Command        `toml:"health_command"`
	HealthTimeout      *octo.Duration `toml:"health_timeout"`
	HealthInterval     *octo.Duration `toml:"health_interval"`
	HealthCheckTimeout *octo.Duration `toml:"health_check_timeout"`
	HealthRetries      *int           `toml:"health_retries"`

	Drain  *octo.Duration `toml:"drain"`
	Grace  *octo.Duration `toml:"grace"`
	Memory *octo.Size     `toml:"memory"`
	CPU    *float64       `toml:"cpu"`
	Pids   *int64         `toml:"pids"`
}

// Parse reads octohost.toml. Errors are of kind octo.ErrInvalid and name the line.
func Parse(text []byte) (Manifest, error) {
	// A process is a table, or only its command.
	var file struct {
		Build     Build                     `toml:"build"`
		Deploy    Process                   `toml:"deploy"`
		Processes map[string]toml.Primitive `toml:"processes"`
	}
	meta, err := decode(Name, text, &file, &Manifest{})
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Processes: map[string]Process{}}
	for name, value := range file.Processes {
		var p Process
		var into any = &p
		if kind := meta.Type("processes", name); kind == "String" || kind == "Array" {
			into = &p.Command
		}
		if err := meta.PrimitiveDecode(value, into); err != nil {
			return Manifest{}, explain(Name, err)
		}
		m.Processes[name] = p
	}
	m.Build, m.Deploy = file.Build, file.Deploy
	if bad := m.check(); bad != nil {
		return Manifest{}, octo.Errorf(octo.ErrInvalid, "%s: %s", place(Name, text, bad.key), bad.message).WithHint("%s", bad.hint)
	}
	return m, nil
}

// Dockerfile returns the path of the Dockerfile in the repository.
func (m Manifest) Dockerfile() string {
	if m.Build.Dockerfile == "" {
		return "Dockerfile"
	}
	return path.Clean(m.Build.Dockerfile)
}

// inside reports whether p is a path that does not lead out of the repository.
func inside(p string) bool {
	clean := path.Clean(p)
	return !path.IsAbs(clean) && clean != ".." && !strings.HasPrefix(clean, "../") && !hasControl(p) && !strings.Contains(p, `\`)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}
