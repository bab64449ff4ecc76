package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Probe is one entry of healthchecks in app.json, as Dokku has them.
type Probe struct {
	Type string // startup, readiness or liveness

	Path      string   // GET this
	Command   []string // or run this
	Listening bool     // or connect
	Uptime    int      // or have run for so many seconds

	Port                                  int
	Attempts, Timeout, Wait, InitialDelay *int // the last three in seconds
}

// Dokku's defaults, https://dokku.com/docs/deployment/zero-downtime-deploys/.
const (
	dokkuAttempts = 3
	dokkuTimeout  = 5
	dokkuWait     = 5
)

// readHealthchecks reads {"web": [{"type": "startup", "path": "/up"}]}.
func (a *AppJSON) readHealthchecks(path string, raw json.RawMessage) error {
	a.Healthchecks = map[octo.Name][]Probe{}
	return processes(path, raw, func(name octo.Name, path string, raw json.RawMessage) error {
		var list []json.RawMessage
		if err := value(path, raw, &list); err != nil {
			return err
		}
		for i, one := range list {
			p, err := a.readProbe(fmt.Sprintf("%s[%d]", path, i), one)
			if err != nil {
				return err
			}
			a.Healthchecks[name] = append(a.Healthchecks[name], p)
		}
		return nil
	})
}

func (a *AppJSON) readProbe(path string, raw json.RawMessage) (Probe, error) {
	var p Probe
	of, err := object(path, raw)
	if err != nil {
		return p, err
	}
	err = errors.Join(
		value(path+".type", of["type"], &p.Type), value(path+".path", of["path"], &p.Path),
		value(path+".command", of["command"], &p.Command), value(path+".listening", of["listening"], &p.Listening),
		value(path+".uptime", of["uptime"], &p.Uptime), value(path+".port", of["port"], &p.Port),
		value(path+".attempts", of["attempts"], &p.Attempts), value(path+".timeout", of["timeout"], &p.Timeout),
		value(path+".wait", of["wait"], &p.Wait), value(path+".initialDelay", of["initialDelay"], &p.InitialDelay),
	)
	if err != nil {
		return p, first(err)
	}
	for _, key := range []string{"content", "httpHeaders", "scheme", "warn", "onFailure"} {
		if of[key] != nil {
			a.ignore("%s of a health check is not known here: ignored", key)
		}
	}
	return p, p.check(path)
}

// check says what is wrong with a probe.
func (p Probe) check(path string) error {
	most := int(maxWait / time.Second)
	for _, r := range []struct {
		key  string
		bad  bool
		want string
	}{
		{"type", !slices.Contains([]string{"", "startup", "readiness", "liveness"}, p.Type), "startup, readiness or liveness"},
		{"path", p.Path != "" && !goodPath(p.Path), "a path that begins with a slash, without spaces"},
		{"port", outside(&p.Port, 0, 65535), "between 1 and 65535"},
		{"uptime", outside(&p.Uptime, 0, most), fmt.Sprintf("a number of seconds up to %d", most)},
		{"attempts", outside(p.Attempts, 1, maxRetries), fmt.Sprintf("between 1 and %d", maxRetries)},
		{"timeout", outside(p.Timeout, 1, most), fmt.Sprintf("a number of seconds between 1 and %d", most)},
		{"wait", outside(p.Wait, 0, most), fmt.Sprintf("a number of seconds up to %d", most)},
		{"initialDelay", outside(p.InitialDelay, 0, most), fmt.Sprintf("a number of seconds up to %d", most)},
		{"command", len(p.Command) > 0 && (p.Command[0] == "" || bounded(strings.Join(p.Command, " ")) != nil), "a list of words that begins with a program"},
	} {
		if r.bad {
			return wrong(path+"."+r.key, r.want)
		}
	}
	return nil
}

// apply puts what app.json says of a process over what there is.
func (a AppJSON) apply(p *octo.Process) {
	if n, said := a.Quantities[p.Name]; said {
		p.Count = n
	}
	if probe, ok := best(a.Healthchecks[p.Name]); ok {
		probe.apply(p)
	}
}

// best chooses the one of several checks that octohost has room for: what says when an
// instance may serve, before what says when it does not any more.
func best(probes []Probe) (Probe, bool) {
	order := []string{"startup", "", "readiness", "liveness"}
	if len(probes) == 0 {
		return Probe{}, false
	}
	return slices.MinFunc(probes, func(a, b Probe) int { return slices.Index(order, a.Type) - slices.Index(order, b.Type) }), true
}

// apply makes a check of it.
func (p Probe) apply(to *octo.Process) {
	c := &to.Check
	*c = octo.NewProcess("", 0).Check
	switch {
	case len(p.Command) > 0:
		c.Kind, c.Command = octo.CheckCmd, p.Command
	case p.Listening:
		c.Kind = octo.CheckTCP
	case p.Uptime > 0:
		c.Kind, c.Uptime = octo.CheckNone, seconds(&p.Uptime, 0)
	case p.Path != "":
		c.Kind, c.Path = octo.CheckHTTP, p.Path
	}
	if to.Name != octo.Web && to.Port == 0 {
		to.Port = p.Port
	}
	if p.Timeout != nil {
		c.Timeout = seconds(p.Timeout, 0)
	}
	if p.Type == "liveness" || p.Type == "readiness" {
		c.Interval = seconds(p.Wait, 0)
	}
	if p.Attempts != nil || p.Timeout != nil || p.Wait != nil || p.InitialDelay != nil {
		attempts := dokkuAttempts
		set(&attempts, p.Attempts)
		each := seconds(p.Timeout, dokkuTimeout) + seconds(p.Wait, dokkuWait)
		all := seconds(p.InitialDelay, 0) + octo.Duration(attempts)*each
		c.Deadline = min(max(all, octo.Duration(minTimeout)), octo.Duration(maxWait))
	}
}

// seconds returns a number of seconds as a duration.
func seconds(n *int, none int) octo.Duration {
	set(&none, n)
	return octo.Duration(time.Duration(none) * time.Second)
}

// notes says what of app.json means nothing for these processes.
func (a AppJSON) notes(ps []octo.Process) []string {
	var notes []string
	for _, note := range a.ignored {
		notes = append(notes, AppJSONName+": "+note+".")
	}
	unknown := map[octo.Name]bool{}
	for name := range a.Quantities {
		unknown[name] = true
	}
	for name := range a.Healthchecks {
		unknown[name] = true
	}
	for _, p := range ps {
		delete(unknown, p.Name)
		probes := a.Healthchecks[p.Name]
		if len(probes) > 1 {
			notes = append(notes, fmt.Sprintf("%s: %s has %d health checks, and only one is made: %s.", AppJSONName, p.Name, len(probes), p.CheckKind()))
		}
		if probe, ok := best(probes); ok && probe.Port != 0 && probe.Port != p.Port {
			notes = append(notes, fmt.Sprintf("%s: the health check of %s names port %d; it is made on port %d, where requests go.", AppJSONName, p.Name, probe.Port, p.Port))
		}
	}
	for _, name := range sortedKeys(unknown) {
		notes = append(notes, fmt.Sprintf("%s speaks of %s, but there is no such process.", AppJSONName, name))
	}
	return notes
}
