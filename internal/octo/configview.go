package octo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ConfigVar is one variable of an app's environment.
type ConfigVar struct {
	Name  string       `json:"name"`
	Size  int          `json:"size"`            // of the value, in bytes
	File  bool         `json:"file,omitempty"`  // containers find it as a file
	Value *ConfigValue `json:"value,omitempty"` // only for those who may see it, and asked for it
}

// ConfigView is what a configuration consists of.
type ConfigView struct {
	Version int         `json:"version"` // 0 means that there is none
	Staged  bool        `json:"staged"`  // the current release was made with another one
	Vars    []ConfigVar `json:"vars"`    // in order of name
}

// View returns what c consists of, with its values if they are to be seen.
func (c Config) View(reveal bool) []ConfigVar {
	vars := make([]ConfigVar, 0, len(c))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		value := c[name]
		v := ConfigVar{Name: name, Size: len(value), File: value.NeedsFile(name)}
		if reveal {
			v.Value = &value
		}
		vars = append(vars, v)
	}
	return vars
}

// Config returns the values of a view that shows them.
func (v ConfigView) Config() Config {
	c := Config{}
	for _, each := range v.Vars {
		if each.Value != nil {
			c[each.Name] = *each.Value
		}
	}
	return c
}

// ConfigEdit is a wish to change an app's environment. All of it is one change.
type ConfigEdit struct {
	Set   Config   `json:"set,omitempty"`
	Unset []string `json:"unset,omitempty"`
	// Replace says that Set is all that there is to be. What was there need not be
	// readable then.
	Replace bool `json:"replace,omitempty"`
	Stage   bool `json:"stage,omitempty"` // only for the next release
	// Base is the version that the wish was made on: where the app has another one by
	// now, nothing is done. Nil means whatever it has.
	Base *int `json:"base,omitempty"`
}

// Names returns the variables that e is about.
func (e ConfigEdit) Names() ConfigChange {
	return ConfigChange{Set: slices.Sorted(maps.Keys(e.Set)), Unset: slices.Sorted(slices.Values(e.Unset))}
}

// Apply returns what becomes of c.
func (e ConfigEdit) Apply(c Config) Config {
	next := Config{}
	if !e.Replace {
		maps.Copy(next, c)
	}
	for _, name := range e.Unset {
		delete(next, name)
	}
	maps.Copy(next, e.Set)
	return next
}

// ConfigResult is what came of a ConfigEdit.
type ConfigResult struct {
	Version int      `json:"version"`         // that the app has now
	Set     []string `json:"set,omitempty"`   // what was added or changed
	Unset   []string `json:"unset,omitempty"` // what was removed
}

// ConfigDiff is how one variable differs between two configurations.
type ConfigDiff struct {
	Name   string       `json:"name"`
	Change ConfigHow    `json:"change"`
	Old    *ConfigValue `json:"old,omitempty"` // only for those who may see it, and asked for it
	New    *ConfigValue `json:"new,omitempty"`
}

// ConfigHow is the way in which a variable differs.
type ConfigHow string

// The ways in which a variable differs.
const (
	ConfigAdded   ConfigHow = "added"
	ConfigChanged ConfigHow = "changed"
	ConfigRemoved ConfigHow = "removed"
)

// DiffConfig returns how b differs from a, in order of name, with the values if they
// are to be seen.
func DiffConfig(a, b Config, reveal bool) []ConfigDiff {
	changes := ConfigChanges(a, b)
	diff := []ConfigDiff{}
	for _, name := range slices.Sorted(slices.Values(slices.Concat(changes.Set, changes.Unset))) {
		old, had := a[name]
		value, has := b[name]
		d := ConfigDiff{Name: name, Change: ConfigChanged}
		switch {
		case !had:
			d.Change = ConfigAdded
		case !has:
			d.Change = ConfigRemoved
		}
		if reveal && had {
			d.Old = &old
		}
		if reveal && has {
			d.New = &value
		}
		diff = append(diff, d)
	}
	return diff
}

// ConfigRef says which configuration of an app is meant: that of a release ("v12"), a
// version by its own number ("c7"), or, as the zero value, the one that the next
// release will have.
type ConfigRef struct {
	Release int
	Version *int
}

// ParseConfigRef reads "v12", "c7" and ""; the error is of kind ErrInvalid.
func ParseConfigRef(s string) (ConfigRef, error) {
	if s == "" {
		return ConfigRef{}, nil
	}
	n, err := strconv.ParseUint(s[1:], 10, 31)
	if err == nil && s[1] != '+' {
		number := int(n)
		switch {
		case s[0] == 'c':
			return ConfigRef{Version: &number}, nil
		case s[0] == 'v' && n > 0:
			return ConfigRef{Release: number}, nil
		}
	}
	return ConfigRef{}, Errorf(ErrInvalid, "%s is neither a release (v12) nor a configuration (c7)", quoteShort(s)).
		WithHint("list them with: octo config:history")
}

// String is the reverse of ParseConfigRef.
func (r ConfigRef) String() string {
	switch {
	case r.Release > 0:
		return Version(r.Release)
	case r.Version != nil:
		return ConfigName(*r.Version)
	}
	return ""
}

// ConfigName returns the name of configuration version n: "c7".
func ConfigName(n int) string { return fmt.Sprintf("c%d", n) }
