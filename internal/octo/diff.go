package octo

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Commit is one commit in an app's repository.
type Commit struct {
	ID      string    `json:"id"`
	Author  string    `json:"author"`
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
}

// Difference is one thing that two releases say differently.
type Difference struct {
	Of   string `json:"of"`   // a process, or "release", or a task
	What string `json:"what"` // "count", "memory", "command"
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// ReleaseDiff is how one release differs from another.
type ReleaseDiff struct {
	From     int          `json:"from"`
	To       int          `json:"to"`
	Added    []Commit     `json:"added"`   // commits that only To has, newest first
	Removed  []Commit     `json:"removed"` // commits that only From has, newest first
	More     bool         `json:"more,omitempty"`
	Settings []Difference `json:"settings"` // image, processes and tasks
	Config   []ConfigDiff `json:"config"`   // without values
}

// DiffReleases returns how b differs from a in all but its code and its configuration.
func DiffReleases(a, b *Release) []Difference {
	out := []Difference{}
	add := func(of, what, old, now string) {
		if old != now {
			out = append(out, Difference{Of: of, What: what, Old: old, New: now})
		}
	}
	add("release", "commit", a.Commit, b.Commit)
	add("release", "image", a.Image, b.Image)
	add("release", "config", configOrNone(a.Config), configOrNone(b.Config))
	for _, name := range processNames(a, b) {
		p, had := a.Process(name)
		q, has := b.Process(name)
		if had != has {
			add(string(name), "process", presence(had), presence(has))
			continue
		}
		old, now := p.Facts(), q.Facts()
		for i := range old {
			add(string(name), old[i][0], old[i][1], now[i][1])
		}
	}
	for _, name := range taskNames(a, b) {
		add(name, "command", a.task(name), b.task(name))
	}
	return out
}

func configOrNone(n int) string {
	if n == 0 {
		return "none"
	}
	return ConfigName(n)
}

func presence(there bool) string {
	if there {
		return "there"
	}
	return "none"
}

// processNames returns the names of the processes of either, those of b first.
func processNames(a, b *Release) []Name {
	var names []Name
	for _, p := range slices.Concat(b.Processes, a.Processes) {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

func taskNames(a, b *Release) []string {
	var names []string
	for _, t := range slices.Concat(b.Tasks, a.Tasks) {
		if !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

func (r *Release) task(name string) string {
	for _, t := range r.Tasks {
		if t.Name == name {
			return strings.Join(t.Command, " ")
		}
	}
	return "none"
}

// Facts returns all that there is to say of a process, in words, by name.
func (p *Process) Facts() [][2]string {
	return [][2]string{
		{"count", fmt.Sprint(p.Count)},
		{"port", numberOr(int64(p.Port), "none")},
		{"check", p.Check.String(p.CheckKind())},
		{"singleton", fmt.Sprint(p.Singleton)},
		{"memory", Size(p.Memory).String()},
		{"cpu", orElse(cores(p.CPU), "no limit")},
		{"pids", fmt.Sprint(p.Pids)},
		{"drain", p.Drain.Std().String()},
		{"grace", p.Grace.Std().String()},
		{"restarts", fmt.Sprint(p.Restarts)},
		{"command", orElse(strings.Join(p.Command, " "), "of the image")},
	}
}

func cores(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%g", n)
}

func numberOr(n int64, none string) string {
	if n == 0 {
		return none
	}
	return fmt.Sprint(n)
}

func orElse(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

// String describes a check of a kind, but for what is usual: "http /up every 30s".
func (c Check) String(kind CheckKind) string {
	text := string(kind)
	switch kind {
	case CheckHTTP:
		text += " " + orElse(c.Path, "/")
	case CheckCmd:
		text += " " + strings.Join(c.Command, " ")
	case CheckNone:
		if c.Uptime > 0 {
			text += fmt.Sprintf(" for %s", c.Uptime.Std())
		}
		return text
	case CheckTCP:
	}
	if c.Deadline != DefaultDeadline {
		text += fmt.Sprintf(" within %s,", c.Deadline.Std())
	}
	for _, part := range []struct {
		say   string
		value Duration
	}{{"every", c.Interval}, {"at most", c.Timeout}} {
		if part.value > 0 {
			text += fmt.Sprintf(" %s %s,", part.say, part.value.Std())
		}
	}
	if c.Retries > 0 {
		text += fmt.Sprintf(" unhealthy after %d,", c.Retries)
	}
	return strings.TrimSuffix(text, ",")
}
