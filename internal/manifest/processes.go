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
	Ports      []int    // EXPOSE, TCP
	Env        []string // ENV, NAME=value
	HasCommand bool     // CMD or ENTRYPOINT
}

// Processes works out the processes of a release from what the repository and its
// image say, with notes for the person who pushed; web comes first. The error, of
// kind octo.ErrInvalid, says what is missing.
func Processes(m Manifest, procfile Procfile, image ImageFacts) ([]octo.Process, []string, error) {
	var notes []string
	var processes []octo.Process
	for _, name := range names(m, procfile) {
		p, more, err := process(name, m, procfile, image)
		if err != nil {
			return nil, nil, err
		}
		processes, notes = append(processes, p), append(notes, more...)
	}
	if processes[0].Name != octo.Web {
		notes = append(notes, "The Procfile names no web process, so nothing will answer requests. If that is not meant, add a line: web: command")
	}
	if procfile.Release != nil {
		notes = append(notes, "The release line of the Procfile is not run yet by this version of octohost.")
	}
	return processes, notes, nil
}

// names returns the names of all processes, web first. Web is there without being
// named, unless there is a Procfile, which is meant to be complete.
func names(m Manifest, procfile Procfile) []octo.Name {
	all := procfile.Names()
	for name := range m.Processes {
		all = append(all, octo.Name(name))
	}
	if len(procfile.Commands) == 0 {
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
func process(name octo.Name, m Manifest, procfile Procfile, image ImageFacts) (octo.Process, []string, error) {
	p := octo.NewProcess(name, 0)
	var notes []string
	p.Command = procfile.Commands[name]
	said, named := m.Processes[string(name)]
	if name == octo.Web {
		apply(&p, m.Deploy)
	}
	apply(&p, said)
	if name == octo.Web && p.Port == 0 {
		p.Port, notes = port(image)
	}
	if name != octo.Web && !named {
		p.Count = 0
		notes = append(notes, fmt.Sprintf("%s is not started: write count = 1 below [processes.%s] in %s.", name, name, Name))
	}
	switch {
	case p.Command != nil:
	case name != octo.Web:
		return p, nil, octo.Errorf(octo.ErrInvalid, "nothing says what to run for %s", name).
			WithHint("write command = \"…\" below [processes.%s] in %s, or a line \"%s: command\" in a Procfile", name, Name, name)
	case !image.HasCommand:
		return p, nil, octo.Errorf(octo.ErrInvalid, "the image says no command for web").
			WithHint("add CMD [\"/path/of/program\"] to the Dockerfile, or a line \"web: command\" to the Procfile")
	}
	return p, notes, nil
}

// apply puts what is said over what there is.
func apply(p *octo.Process, said Process) {
	if said.Command != nil {
		p.Command = said.Command
	}
	if said.HealthPath != "" {
		p.Check.Path = said.HealthPath
	}
	set(&p.Count, said.Count)
	set(&p.Port, said.Port)
	set(&p.Check.Deadline, said.HealthTimeout)
	set(&p.Drain, said.Drain)
	set(&p.Grace, said.Grace)
	set((*octo.Size)(&p.Memory), said.Memory)
	set(&p.CPU, said.CPU)
	set(&p.Pids, said.Pids)
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
