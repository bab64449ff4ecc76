package octo

import (
	"context"
	"maps"
	"reflect"
	"slices"
)

// Settings are what people set on an app besides its code. Every release keeps the
// settings that it was made with, so that going back to it brings them back too.
type Settings struct {
	Config    int                `json:"config"`              // version of the configuration; 0 means none
	Formation map[Name]Formation `json:"formation,omitempty"` // by process; over what the code declares
}

// Formation is what people set on one process. What is nil or zero is not set: then
// what the code declares holds.
type Formation struct {
	Count   *int     `json:"count,omitempty"`   // instances wanted
	Memory  *int64   `json:"memory,omitempty"`  // limit in bytes
	CPU     *float64 `json:"cpu,omitempty"`     // limit in cores
	Pids    *int64   `json:"pids,omitempty"`    // limit of processes and threads
	Stopped bool     `json:"stopped,omitempty"` // no instance runs, whatever the count
	// Restarts counts how often people asked for fresh instances: those of another
	// count are replaced.
	Restarts int `json:"restarts,omitempty"`
}

// Equal reports whether s and o set the same.
func (s Settings) Equal(o Settings) bool {
	if len(s.Formation) == 0 && len(o.Formation) == 0 {
		return s.Config == o.Config
	}
	return reflect.DeepEqual(s, o)
}

// Clone returns a copy of s whose formation can be changed without changing that of s.
func (s Settings) Clone() Settings {
	s.Formation = maps.Clone(s.Formation)
	return s
}

// Over returns the processes that follow from the declared ones with s over them.
func (s Settings) Over(declared []Process) []Process {
	out := slices.Clone(declared)
	for i := range out {
		p, f := &out[i], s.Formation[out[i].Name]
		setIf(&p.Count, f.Count)
		setIf(&p.Memory, f.Memory)
		setIf(&p.CPU, f.CPU)
		setIf(&p.Pids, f.Pids)
		p.Restarts = f.Restarts
		switch {
		case f.Stopped:
			p.Count = 0
		case p.Singleton:
			p.Count = min(p.Count, 1)
		}
	}
	return out
}

func setIf[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

// Change is somebody's wish to change the settings of an app.
type Change struct {
	App         Name
	Who         Identity
	Description string // of the release that it makes: "Set GREETING"
	// Stage only writes the settings: the next release takes them.
	Stage bool
	// Edit returns what the settings of app should be. It is called again when somebody
	// else was faster, and returns app's own when there is nothing to change.
	Edit func(ctx context.Context, app App) (Settings, error)
}
