package octo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Scale is how many instances of a process somebody wants.
type Scale struct {
	Process  Name `json:"process"`
	Count    int  `json:"count"`
	Relative bool `json:"relative,omitempty"` // so many more than there are, or fewer
}

// ParseScale reads "web=2", "web=+1" and "web=-1"; the error is of kind ErrInvalid.
func ParseScale(word string) (Scale, error) {
	name, text, ok := strings.Cut(word, "=")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n > MaxCount || n < -MaxCount {
		return Scale{}, Errorf(ErrInvalid, "%s does not say how many", quoteShort(word)).
			WithHint("write for example web=2 worker=1, or web=+1; at most %d", MaxCount)
	}
	process, err := ParseName(name)
	return Scale{Process: process, Count: n, Relative: text[0] == '+' || text[0] == '-'}, err
}

// String describes it: "web to 2", "web by +1".
func (s Scale) String() string {
	if s.Relative {
		return fmt.Sprintf("%s by %+d", s.Process, s.Count)
	}
	return fmt.Sprintf("%s to %d", s.Process, s.Count)
}

// FormationVerb is what can be done with running processes.
type FormationVerb string

// The verbs.
const (
	FormationRestart FormationVerb = "restart" // replace the instances by fresh ones
	FormationStop    FormationVerb = "stop"    // let no instance run, whatever the count
	FormationStart   FormationVerb = "start"   // let them run again
)

// FormationEdit is somebody's wish about processes: one of a scale, a verb, or limits.
type FormationEdit struct {
	Scale []Scale `json:"scale,omitempty"`

	Process Name          `json:"process,omitempty"` // that the rest is about; empty means all
	Do      FormationVerb `json:"do,omitempty"`
	Limits  Limits        `json:"limits,omitzero"`
	Unset   []string      `json:"unset,omitempty"` // names of limits that are as the code declares again
}

// Check reports whether e is one wish, within bounds; the error is of kind ErrInvalid.
func (e FormationEdit) Check() error {
	wishes := 0
	for _, is := range []bool{len(e.Scale) > 0, e.Do != "", e.Limits != Limits{}, len(e.Unset) > 0} {
		if is {
			wishes++
		}
	}
	if wishes != 1 || len(e.Scale) > 0 && e.Process != "" {
		return Errorf(ErrInvalid, "a change of processes is one of scale, do, limits and unset")
	}
	if !slices.Contains([]FormationVerb{"", FormationRestart, FormationStop, FormationStart}, e.Do) {
		return Errorf(ErrInvalid, "%s cannot be done with processes", quoteShort(string(e.Do)))
	}
	for i, s := range e.Scale {
		switch {
		case slices.ContainsFunc(e.Scale[:i], func(o Scale) bool { return o.Process == s.Process }):
			return Errorf(ErrInvalid, "%s is there twice", s.Process)
		case s.Count > MaxCount, s.Count < -MaxCount, s.Count < 0 && !s.Relative:
			return Errorf(ErrInvalid, "the count of %s must be between 0 and %d", s.Process, MaxCount)
		}
	}
	for _, name := range e.Unset {
		if err := CheckLimitName(name); err != nil {
			return err
		}
	}
	return e.Limits.Check()
}

// String describes the wish as a release does: "Scale web to 2, worker to 1".
func (e FormationEdit) String() string {
	switch of := e.Process; {
	case len(e.Scale) > 0:
		parts := make([]string, len(e.Scale))
		for i, s := range e.Scale {
			parts[i] = s.String()
		}
		return "Scale " + strings.Join(parts, ", ")
	case e.Do != "":
		verb := strings.ToUpper(string(e.Do[:1])) + string(e.Do[1:])
		return strings.TrimSpace(verb + " " + string(of))
	case of == "":
		of = "all processes"
		fallthrough
	default:
		if len(e.Unset) > 0 {
			return fmt.Sprintf("Unset %s of %s", strings.Join(e.Unset, ", "), of)
		}
		return fmt.Sprintf("Limit %s: %s", of, e.Limits)
	}
}

// Apply returns what e makes of the settings of app, whose code declares these
// processes. ErrInvalid says that there is no such process, ErrConflict that it is not
// in the state for it.
func (e FormationEdit) Apply(app Name, s Settings, declared []Process) (Settings, error) {
	if err := e.Check(); err != nil {
		return s, err
	}
	next := s.Clone()
	if next.Formation == nil {
		next.Formation = map[Name]Formation{}
	}
	f := formationEdit{app: app, next: next, declared: declared}
	var err error
	switch {
	case len(e.Scale) > 0:
		err = f.scale(e.Scale)
	case e.Do != "":
		err = f.do(e.Do, e.Process)
	default:
		err = f.limit(e)
	}
	if err != nil {
		return s, err
	}
	for name, of := range f.next.Formation {
		if of == (Formation{}) {
			delete(f.next.Formation, name)
		}
	}
	return f.next, nil
}

// formationEdit is a change of an app's formation under way.
type formationEdit struct {
	app      Name
	next     Settings
	declared []Process
}

// find returns the processes of that name, or all; as they would be if none were
// stopped.
func (f *formationEdit) find(name Name) ([]Process, error) {
	started := f.next.Clone()
	for n, of := range started.Formation {
		of.Stopped = false
		started.Formation[n] = of
	}
	all := started.Over(f.declared)
	if name == "" {
		return all, nil
	}
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == name {
			return all[i : i+1], nil
		}
		names[i] = string(p.Name)
	}
	return nil, Errorf(ErrInvalid, "%s has no process %s", f.app, name).WithHint("it has: %s", strings.Join(names, ", "))
}

func (f *formationEdit) scale(wishes []Scale) error {
	for _, s := range wishes {
		ps, err := f.find(s.Process)
		if err != nil {
			return err
		}
		n := s.Count
		if s.Relative {
			n += ps[0].Count
		}
		switch {
		case n < 0 || n > MaxCount:
			return Errorf(ErrInvalid, "%s has %d instances, and %+d would make %d", s.Process, ps[0].Count, s.Count, n).WithHint("the count must be between 0 and %d", MaxCount)
		case ps[0].Singleton && n > 1:
			return Errorf(ErrInvalid, "%s is a singleton: there is never more than one", s.Process).WithHint("remove singleton from octohost.toml to run several")
		}
		of := f.next.Formation[s.Process]
		of.Count = &n
		of.Stopped = of.Stopped && n == 0 // who wants some wants them to run
		f.next.Formation[s.Process] = of
	}
	return nil
}

func (f *formationEdit) do(verb FormationVerb, name Name) error {
	ps, err := f.find(name)
	if err != nil {
		return err
	}
	running := slices.DeleteFunc(slices.Clone(ps), func(p Process) bool { return p.Count == 0 || f.next.Formation[p.Name].Stopped })
	switch {
	case verb == FormationRestart && len(running) == 0:
		return Errorf(ErrConflict, "nothing runs that could be restarted").WithHint("start it with: octo ps:start -a %s, or octo ps:scale web=1 -a %s", f.app, f.app)
	case verb == FormationRestart:
		ps = running
	case verb == FormationStart && name != "" && ps[0].Count == 0:
		return Errorf(ErrConflict, "no instance of %s is wanted", name).WithHint("say how many: octo ps:scale %s=1 -a %s", name, f.app)
	}
	for _, p := range ps {
		of := f.next.Formation[p.Name]
		if verb == FormationRestart {
			of.Restarts++
		} else {
			of.Stopped = verb == FormationStop
		}
		f.next.Formation[p.Name] = of
	}
	return nil
}

func (f *formationEdit) limit(e FormationEdit) error {
	ps, err := f.find(e.Process)
	if err != nil {
		return err
	}
	for _, p := range ps {
		of := f.next.Formation[p.Name]
		if e.Limits.Memory != nil {
			of.Memory = e.Limits.Memory
		}
		if e.Limits.CPU != nil {
			of.CPU = e.Limits.CPU
		}
		if e.Limits.Pids != nil {
			of.Pids = e.Limits.Pids
		}
		for _, name := range e.Unset {
			of.unset(name)
		}
		f.next.Formation[p.Name] = of
	}
	return nil
}

func (f *Formation) unset(limit string) {
	switch limit {
	case "memory":
		f.Memory = nil
	case "cpu":
		f.CPU = nil
	case "pids":
		f.Pids = nil
	}
}

// ProcessStatus is a process of an app as people see it.
type ProcessStatus struct {
	Process
	Kind    CheckKind `json:"kind"`              // of check
	Scale   int       `json:"scale"`             // instances wanted when it is not stopped
	Stopped bool      `json:"stopped,omitempty"` // people have stopped it
	Running int       `json:"running"`           // instances that have been started, and stay
	Healthy int       `json:"healthy"`           // of them healthy
	Set     Formation `json:"set,omitzero"`      // what people have set, over what the code declares
}

// Statuses returns the processes of a release as people see them, given the instances
// of the app that stay.
func (r *Release) Statuses(staying []Instance) []ProcessStatus {
	f := formationEdit{next: r.Settings, declared: r.Declared}
	if f.declared == nil {
		f.declared = r.Processes
	}
	started, _ := f.find("") // all are always found
	out := make([]ProcessStatus, 0, len(r.Processes))
	for i, p := range r.Processes {
		s := ProcessStatus{Process: p, Kind: p.CheckKind(), Scale: started[i].Count, Stopped: r.Formation[p.Name].Stopped, Set: r.Formation[p.Name]}
		for _, in := range staying {
			if in.Process != p.Name {
				continue
			}
			s.Running++
			if in.Phase == PhaseHealthy {
				s.Healthy++
			}
		}
		out = append(out, s)
	}
	return out
}
