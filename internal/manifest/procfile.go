package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Procfile is the content of a Procfile: a command for each process.
type Procfile struct {
	Commands map[octo.Name]Command
	// Release is the command of the "release" line, which is not a process but runs
	// before a release does.
	Release Command
}

// Names returns the names of the processes, sorted.
func (p Procfile) Names() []octo.Name {
	names := make([]octo.Name, 0, len(p.Commands))
	for n := range p.Commands {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// procfileLine is Heroku's definition: a name, a colon, a command.
var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// ParseProcfile reads a Procfile. Errors are of kind octo.ErrInvalid and name the line.
func ParseProcfile(text []byte) (Procfile, error) {
	p := Procfile{Commands: map[octo.Name]Command{}}
	if len(text) > MaxSize {
		return p, octo.Errorf(octo.ErrInvalid, "Procfile has %d bytes, more than %d", len(text), MaxSize)
	}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.add(line); err != nil {
			return Procfile{}, atLine(number, err)
		}
	}
	if len(p.Commands) > maxProcesses {
		return Procfile{}, octo.Errorf(octo.ErrInvalid, "Procfile has more than %d processes", maxProcesses)
	}
	return p, nil
}

// atLine says where in the Procfile something is wrong.
func atLine(number int, err error) error {
	var e *octo.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("line %d of the Procfile: %w", number, err)
	}
	return &octo.Error{Kind: e.Kind, Message: fmt.Sprintf("Procfile:%d: %s", number, e.Message), Hint: e.Hint}
}

func (p *Procfile) add(line string) error {
	m := procfileLine.FindStringSubmatch(line)
	if m == nil {
		return octo.Errorf(octo.ErrInvalid, "this is not \"name: command\": %.60q", line)
	}
	command, err := split(m[2])
	if err != nil {
		return err
	}
	if m[1] == "release" {
		p.Release = command
		return nil
	}
	name, err := octo.ParseName(m[1])
	if err != nil {
		return err
	}
	if _, twice := p.Commands[name]; twice {
		return octo.Errorf(octo.ErrInvalid, "%s is there twice", name)
	}
	p.Commands[name] = command
	return nil
}
