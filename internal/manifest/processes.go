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
// image say, with notes for the person who pushed. The error, of kind
// octo.ErrInvalid, says what is missing.
func Processes(m Manifest, procfile Procfile, image ImageFacts) ([]octo.Process, []string, error) {
	var notes []string
	names := procfile.Names()
	for name := range m.Processes {
		if n := octo.Name(name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		names = []octo.Name{octo.Web}
	}
	slices.Sort(names)
	var processes []octo.Process
	for _, name := range names {
		p, more, err := process(name, m, procfile, image)
		if err != nil {
			return nil, nil, err
		}
		processes, notes = append(processes, p), append(notes, more...)
	}
	if procfile.Release != nil {
		notes = append(notes, "The release line of the Procfile is not run yet by this version of octohost.")
	}
	return processes, notes, nil
}

// process works out one process.
func process(name octo.Name, m Manifest, procfile Procfile, image ImageFacts) (octo.Process, []string, error) {
	p := octo.NewProcess(name, 0)
	var notes []string
	said := m.Processes[string(name)]
	p.Command = procfile.Commands[name]
	if name == octo.Web {
		apply(&p, m.Deploy)
	} else {
		p.Count = 0
	}
	apply(&p, said)
	if name == octo.Web && p.Port == 0 {
		var note string
		p.Port, note = port(image)
		notes = appendNote(notes, note)
	}
	if name != octo.Web && p.Count == 0 && said.Count == nil {
		notes = append(notes, fmt.Sprintf("%s is not started: write count = 1 below [processes.%s] in %s.", name, name, Name))
	}
	if p.Command == nil && !image.HasCommand {
		return p, nil, octo.Errorf(octo.ErrInvalid, "the image says no command for %s", name).
			WithHint("add CMD [\"/path/of/program\"] to the Dockerfile, or a line \"%s: command\" to the Procfile", name)
	}
	return p, notes, nil
}

// apply puts what is said over what there is.
func apply(p *octo.Process, said Process) {
	if said.Command != nil {
		p.Command = said.Command
	}
	if said.Count != nil {
		p.Count = *said.Count
	}
	set(&p.Port, said.Port)
	set(&p.Check.Path, said.HealthPath)
	set(&p.Check.Deadline, said.HealthTimeout)
	set(&p.Drain, said.Drain)
	set(&p.Grace, said.Grace)
	set(&p.Memory, int64(said.Memory))
	set(&p.CPU, said.CPU)
	set(&p.Pids, said.Pids)
}

func set[T comparable](into *T, said T) {
	var nothing T
	if said != nothing {
		*into = said
	}
}

func appendNote(notes []string, note string) []string {
	if note == "" {
		return notes
	}
	return append(notes, note)
}

// port finds out where the web process listens: the image's own PORT, else the port
// that it exposes, else the default, which it is told by $PORT.
func port(image ImageFacts) (int, string) {
	for _, e := range image.Env {
		if value, ok := strings.CutPrefix(e, "PORT="); ok {
			if n, err := strconv.Atoi(value); err == nil && n > 0 && n <= 65535 {
				return n, ""
			}
		}
	}
	switch len(image.Ports) {
	case 0:
		return octo.DefaultPort, ""
	case 1:
		return image.Ports[0], ""
	}
	chosen := slices.Min(image.Ports)
	for _, usual := range []int{octo.DefaultPort, 8080, 3000, 8000, 80} {
		if slices.Contains(image.Ports, usual) {
			chosen = usual
			break
		}
	}
	return chosen, fmt.Sprintf("The image exposes ports %s: using %d. To choose another, write port = N below [deploy] in %s.",
		strings.Trim(strings.Join(strings.Fields(fmt.Sprint(image.Ports)), ", "), "[]"), chosen, Name)
}
