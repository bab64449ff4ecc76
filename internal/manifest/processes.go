package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// ImageFacts are what a built image says about itself.
type ImageFacts struct {
	Ports      []int        // EXPOSE, TCP
	Env        []string     // ENV, NAME=value
	HasCommand bool         // CMD or ENTRYPOINT
	Health     *Healthcheck // HEALTHCHECK; nil means that there is none
}

// Processes works out the processes of a release from what the repository and its
// image say, with notes for the person who pushed; web comes first. The error, of
// kind octo.ErrInvalid, says what is missing.
func Processes(said Said, image ImageFacts) ([]octo.Process, []string, error) {
	var notes []string
	var processes []octo.Process
	for _, name := range said.names() {
		p, more, err := said.process(name, image)
		if err != nil {
			return nil, nil, err
		}
		processes, notes = append(processes, p), append(notes, more...)
	}
	if processes[0].Name != octo.Web {
		notes = append(notes, "There is no web process, so nothing will answer requests. If that is not meant, add a line to the Procfile: web: command")
	}
	return processes, append(notes, said.App.notes(processes)...), nil
}

// names returns the names of all processes, web first. Web is there without being
// named, unless there is a Procfile, which is meant to be complete.
func (s Said) names() []octo.Name {
	all := s.Procfile.Names()
	for name := range s.Manifest.Processes {
		all = append(all, octo.Name(name))
	}
	if len(s.Procfile.Commands) == 0 {
		all = append(all, octo.Web)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if i := slices.Index(all, octo.Web); i > 0 {
		all = slices.Insert(slices.Delete(all, i, i+1), 0, octo.Web)
	}
	return all
}

// process works out one process. Those that only the Procfile names wait to be
// started, as on Heroku.
func (s Said) process(name octo.Name, image ImageFacts) (octo.Process, []string, error) {
	p := octo.NewProcess(name, 0)
	var notes []string
	p.Command = s.Procfile.Commands[name]
	said, named := s.Manifest.Processes[string(name)]
	if name != octo.Web && !named {
		p.Count = 0
	}
	if name == octo.Web && image.Health != nil {
		image.Health.apply(&p.Check)
	}
	s.App.apply(&p)
	tables := []Process{said}
	if name == octo.Web {
		tables = []Process{s.Manifest.Deploy, said}
	}
	for _, t := range tables {
		t.applyKind(&p.Check)
	}
	for _, t := range tables {
		t.apply(&p)
	}
	if name == octo.Web && p.Port == 0 {
		p.Port, notes = port(image)
	}
	if err := s.missing(&p, image); err != nil {
		return p, nil, err
	}
	return p, notes, nil
}

// missing says what a process lacks, or nil.
func (s Said) missing(p *octo.Process, image ImageFacts) error {
	table := fmt.Sprintf("[processes.%s] in %s", p.Name, Name)
	switch {
	case p.Command == nil && p.Name != octo.Web:
		return octo.Errorf(octo.ErrInvalid, "nothing says what to run for %s", p.Name).
			WithHint("write command = \"…\" below %s, or a line \"%s: command\" in a Procfile", table, p.Name)
	case p.Command == nil && !image.HasCommand:
		return octo.Errorf(octo.ErrInvalid, "the image says no command for web").
			WithHint("add CMD [\"/path/of/program\"] to the Dockerfile, or a line \"web: command\" to the Procfile")
	case p.Check.Kind == octo.CheckCmd && len(p.Check.Command) == 0:
		return octo.Errorf(octo.ErrInvalid, "%s is to be checked by a command, and nothing says by which", p.Name).
			WithHint("write health_command = \"…\" below %s, or a HEALTHCHECK in the Dockerfile", table)
	case p.Port == 0 && (p.Check.Kind == octo.CheckHTTP || p.Check.Kind == octo.CheckTCP):
		return octo.Errorf(octo.ErrInvalid, "%s is to be checked by %s, and has no port", p.Name, p.Check.Kind).
			WithHint("write port = … below %s", table)
	case p.Singleton && p.Count > 1:
		return octo.Errorf(octo.ErrInvalid, "%s is a singleton, and %d of it are wanted", p.Name, p.Count).
			WithHint("write count = 1 below %s", table)
	}
	return nil
}

// applyKind makes the check one of the kind that is said, if any: a path or a command
// says one, too. What was said elsewhere of a check of another kind is forgotten.
func (p Process) applyKind(c *octo.Check) {
	kind := p.Check
	switch {
	case p.HealthPath != "":
		kind = octo.CheckHTTP
	case p.HealthCommand != nil:
		kind = octo.CheckCmd
	case kind == "":
		return
	}
	if kind != c.Kind {
		*c = octo.NewProcess("", 0).Check
		c.Kind = kind
	}
	if p.HealthPath != "" {
		c.Path = p.HealthPath
	}
	if p.HealthCommand != nil {
		c.Command = p.HealthCommand
	}
}

// apply puts what is said over what there is, but for the kind of check.
func (p Process) apply(to *octo.Process) {
	if p.Command != nil {
		to.Command = p.Command
	}
	set(&to.Count, p.Count)
	set(&to.Singleton, p.Singleton)
	set(&to.Port, p.Port)
	set(&to.Check.Deadline, p.HealthTimeout)
	set(&to.Check.Interval, p.HealthInterval)
	set(&to.Check.Timeout, p.HealthCheckTimeout)
	set(&to.Check.Retries, p.HealthRetries)
	set(&to.Drain, p.Drain)
	set(&to.Grace, p.Grace)
	set((*octo.Size)(&to.Memory), p.Memory)
	set(&to.CPU, p.CPU)
	set(&to.Pids, p.Pids)
}

func set[T any](into, said *T) {
	if said != nil {
		*into = *said
	}
}

// port finds out where the web process listens: the image's own PORT, else the port
// that it exposes, else the default, which it is told by $PORT.
func port(image ImageFacts) (port int, notes []string) {
	for _, e := range image.Env {
		value, ok := strings.CutPrefix(e, "PORT=")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(value); err == nil && n > 0 && n <= 65535 {
			return n, nil
		}
		notes = append(notes, fmt.Sprintf("The image sets PORT to %.20q, which is no port: ignored.", value))
	}
	switch len(image.Ports) {
	case 0:
		return octo.DefaultPort, notes
	case 1:
		return image.Ports[0], notes
	}
	port = slices.Min(image.Ports)
	for _, usual := range []int{octo.DefaultPort, 8080, 3000, 8000, 80} {
		if slices.Contains(image.Ports, usual) {
			port = usual
			break
		}
	}
	all := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(image.Ports)), ", "), "[]")
	return port, append(notes, fmt.Sprintf("The image exposes ports %s: using %d. To choose another, write port = N below [deploy] in %s.", all, port, Name))
}
