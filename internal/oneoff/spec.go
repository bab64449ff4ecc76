package oneoff

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// labelRun is the label with a card in JSON.
const labelRun = "octohost.run"

// isOneoff is the value of engine.LabelOneoff.
const isOneoff = "run"

// runProcess is the process whose limits runs have, where a release has it; and how
// they are called.
const runProcess octo.Name = "run"

// card is what a run's label says of it.
type card struct {
	Name     string        `json:"name"`
	User     string        `json:"user"`
	Command  string        `json:"command"`
	Attached bool          `json:"attached,omitempty"`
	Expires  time.Time     `json:"expires"`
	Grace    octo.Duration `json:"grace"`
	Memory   int64         `json:"memory"`
}

// job is a program that is about to run.
type job struct {
	card
	release octo.Release
	program octo.Program
	spec    engine.Spec
	logged  bool // what it prints is in the app's log
}

// minMemory is what a container needs to start at all, in bytes.
const minMemory = 16 << 20

// check reports whether a program can be run; the error is of kind ErrInvalid.
func check(p octo.Program) error {
	for _, word := range append(slices.Clone(p.Command), p.Term) {
		if strings.ContainsRune(word, 0) || !utf8.ValidString(word) {
			return octo.Errorf(octo.ErrInvalid, "a command is text without zero bytes")
		}
	}
	for _, e := range p.Env {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			return octo.Errorf(octo.ErrInvalid, "%.40q has no value", name).WithHint("write --env NAME=value")
		}
		if err := octo.CheckConfigName(name); err != nil {
			return err
		}
		if octo.ConfigValue(value).NeedsFile(name) {
			return octo.Errorf(octo.ErrInvalid, "the value of %s is too long, or no text", name).WithHint("set it with octo config:set, which makes a file of it")
		}
	}
	switch {
	case p.Memory != 0 && p.Memory < minMemory:
		return octo.Errorf(octo.ErrInvalid, "%s are too few for a container", octo.Size(p.Memory)).WithHint("give it at least %s", octo.Size(minMemory))
	case p.TTL != 0 && (p.TTL < octo.MinTTL || p.TTL > octo.MaxTTL):
		return octo.Errorf(octo.ErrInvalid, "a run cannot end after %s", p.TTL.Std()).WithHint("give it from %s to %s", octo.MinTTL.Std(), octo.MaxTTL.Std())
	}
	return nil
}

// plan makes a job of what somebody wants to run in the image of a release. kind is
// the first part of its name.
func plan(host, kind string, user string, r octo.Release, p octo.Program, now time.Time) (job, error) {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return job{}, octo.Errorf(octo.ErrInvalid, "what is to run?").WithHint("name it: octo run -a %s -- COMMAND", r.App)
	}
	if err := check(p); err != nil {
		return job{}, err
	}
	process, command := like(r, p.Command)
	if p.Memory != 0 {
		process.Memory = p.Memory
	}
	ttl := p.TTL
	if ttl == 0 {
		ttl = octo.DefaultTTL
	}
	j := job{release: r, program: p, card: card{
		Name: kind + "." + strings.ToLower(rand.Text()[:5]), User: user, Command: shorten(strings.Join(p.Command, " ")),
		Expires: now.Add(ttl.Std()).UTC().Truncate(time.Second), Grace: process.Grace, Memory: process.Memory,
	}}
	j.spec = engine.Spec{
		Name: "octo-" + string(r.App) + "." + j.Name, Image: r.Image, Command: command, Bare: p.Bare,
		Memory: process.Memory, CPU: process.CPU, Pids: process.Pids,
		Labels: map[string]string{
			engine.LabelHost: host, engine.LabelApp: string(r.App), engine.LabelRelease: strconv.Itoa(r.Number),
			engine.LabelProcess: string(runProcess), engine.LabelOneoff: isOneoff,
		},
	}
	j.spec.Env = own(r, j.Name, process)
	return j, nil
}

// like returns the process whose limits a command has, and what is run: a single word
// that names a process is that process, everything else is like the process "run", or
// like web.
func like(r octo.Release, command []string) (octo.Process, []string) {
	declared := r.Declared
	if declared == nil {
		declared = r.Processes
	}
	processes := r.Settings.Over(declared)
	find := func(name octo.Name) int {
		return slices.IndexFunc(processes, func(p octo.Process) bool { return p.Name == name })
	}
	if i := find(octo.Name(command[0])); i >= 0 && len(command) == 1 {
		return processes[i], processes[i].Command
	}
	for _, name := range []octo.Name{runProcess, octo.Web} {
		if i := find(name); i >= 0 {
			return processes[i], command
		}
	}
	if len(processes) > 0 {
		return processes[0], command
	}
	return octo.NewProcess(runProcess, 0), command
}

// own returns what octohost itself says to a run. The port is there for programs that
// do not start without one; nobody reaches it.
func own(r octo.Release, name string, like octo.Process) []string {
	env := []string{"OCTOHOST_APP=" + string(r.App), "OCTOHOST_PROCESS=" + string(runProcess), "OCTOHOST_INSTANCE=" + string(r.App) + "." + name}
	if r.Number != 0 {
		env = append(env, "OCTOHOST_RELEASE="+r.Version())
	}
	if like.Port != 0 {
		env = append(env, fmt.Sprintf("PORT=%d", like.Port))
	}
	return env
}

// equip adds the configuration of the release, and what the program is given besides,
// each over the one before; and the label.
func (j *job) equip(config []string, files []engine.File) error {
	var env []string
	if j.program.Terminal && j.program.Term != "" {
		env = append(env, "TERM="+j.program.Term)
	}
	var all []string
	for _, e := range slices.Concat(env, config, j.program.Env, j.spec.Env) {
		name, _, _ := strings.Cut(e, "=")
		all = slices.DeleteFunc(all, func(other string) bool { return strings.HasPrefix(other, name+"=") })
		all = append(all, e)
	}
	j.spec.Env, j.spec.Files = all, files
	if j.logged {
		j.spec.Labels[engine.LabelSpeaker] = j.Name
	}
	text, err := json.Marshal(j.card)
	j.spec.Labels[labelRun] = string(text)
	return err
}

// maxCommand is how much is shown of a command, in bytes.
const maxCommand = 200

// shorten returns text, cut where it is too long to be shown.
func shorten(text string) string {
	if len(text) <= maxCommand {
		return text
	}
	return strings.ToValidUTF8(text[:maxCommand], "") + "…"
}

// cardOf reads the label of a container. One that cannot be read is of a run that
// should have ended.
func cardOf(c engine.Container) card {
	var k card
	if err := json.Unmarshal([]byte(c.Labels[labelRun]), &k); err != nil {
		k = card{Name: c.Name, Attached: true}
	}
	return k
}

// runOf returns what people see of a run.
func runOf(c engine.Container) octo.Run {
	k := cardOf(c)
	n, err := strconv.Atoi(c.Labels[engine.LabelRelease])
	if err != nil {
		n = 0 // nobody knows
	}
	out := octo.Run{
		Name: k.Name, App: octo.Name(c.Labels[engine.LabelApp]), Release: n, Command: k.Command, User: k.User, Attached: k.Attached,
		State: octo.RunRunning, Started: c.Started, Expires: k.Expires, Memory: k.Memory,
	}
	if c.State == engine.StateExited || c.State == engine.StateDead {
		out.State, out.ExitCode, out.Ended = octo.RunEnded, c.ExitCode, c.Finished
	}
	return out
}
