package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// labelReleased is a label that only the node reads: it tells releases of the same
// number apart, that of an app which was destroyed, and that of another which was
// given its name.
const labelReleased = "octohost.released"

// shortHost is how the names of containers and networks tell octohosts apart.
func shortHost(host string) string {
	const length = 8
	if len(host) >= length {
		if _, err := hex.DecodeString(host[:length]); err == nil {
			return strings.ToLower(host[:length])
		}
	}
	sum := sha256.Sum256([]byte(host))
	return hex.EncodeToString(sum[:])[:length]
}

// containerName is unique among all that an engine has.
func containerName(host string, id octo.InstanceID) string {
	return "octo-" + shortHost(host) + "-" + string(id)
}

// identity is the labels by which the container of an instance is known.
func identity(host string, a octo.Assignment, r *octo.Release) map[string]string {
	return map[string]string{
		engine.LabelHost:     host,
		engine.LabelApp:      string(a.App),
		engine.LabelRelease:  strconv.Itoa(a.Release),
		engine.LabelProcess:  string(a.Process),
		engine.LabelInstance: string(a.Instance),
		labelReleased:        r.Created.UTC().Format(time.RFC3339Nano),
	}
}

// isMeant reports whether c is the container of that instance of that release, and
// no other that has its name, number or address.
func isMeant(c *engine.Container, host string, a octo.Assignment, r *octo.Release) bool {
	if c.Image != r.Image {
		return false
	}
	for label, value := range identity(host, a, r) {
		if c.Labels[label] != value {
			return false
		}
	}
	return true
}

// containerSpec is the container of an instance. The app's configuration comes
// first: it cannot change what octohost says.
func containerSpec(host string, a octo.Assignment, r *octo.Release, p octo.Process, env []string, at place) engine.Spec {
	spec := engine.Spec{
		Name: containerName(host, a.Instance), Image: r.Image, Command: p.Command,
		Env: environment(a, r, p, env), Labels: identity(host, a, r),
		Memory: p.Memory, CPU: p.CPU, Pids: p.Pids,
	}
	at.set(&spec)
	return spec
}

func environment(a octo.Assignment, r *octo.Release, p octo.Process, config []string) []string {
	own := []string{
		"OCTOHOST_APP=" + string(a.App),
		"OCTOHOST_RELEASE=" + r.Version(),
		"OCTOHOST_PROCESS=" + string(a.Process),
		"OCTOHOST_INSTANCE=" + string(a.Instance),
	}
	if p.Port != 0 {
		own = append(own, fmt.Sprintf("PORT=%d", p.Port))
	}
	env := slices.DeleteFunc(slices.Clone(config), func(v string) bool {
		return slices.ContainsFunc(own, func(o string) bool { return variable(o) == variable(v) })
	})
	return append(env, own...)
}

func variable(assignment string) string {
	name, _, _ := strings.Cut(assignment, "=")
	return name
}

// assignmentOf reads from a container's labels which instance it was.
func assignmentOf(c engine.Container) octo.Assignment {
	n, err := strconv.Atoi(c.Labels[engine.LabelRelease])
	if err != nil {
		n = 0 // whatever it was, it is not ours to know
	}
	return octo.Assignment{
		Instance: octo.InstanceID(c.Labels[engine.LabelInstance]),
		App:      octo.Name(c.Labels[engine.LabelApp]),
		Process:  octo.Name(c.Labels[engine.LabelProcess]),
		Release:  n,
	}
}

// pick chooses the container of an instance among those that carry its label (more
// than one only if somebody else made it): one that is meant before one that is
// not, one that runs before one that does not, the youngest.
func pick(cs []engine.Container, meant func(*engine.Container) bool) (best *engine.Container, surplus []engine.Container) {
	for i := range cs {
		c := &cs[i]
		switch {
		case best == nil:
			best = c
		case better(c, best, meant):
			surplus, best = append(surplus, *best), c
		default:
			surplus = append(surplus, *c)
		}
	}
	if best == nil {
		return nil, nil
	}
	one := *best // not part of the list, which would be kept in memory as a whole
	return &one, surplus
}

func better(a, b *engine.Container, meant func(*engine.Container) bool) bool {
	if meant(a) != meant(b) {
		return meant(a)
	}
	if running(a) != running(b) {
		return running(a)
	}
	return a.Started.After(b.Started)
}

func running(c *engine.Container) bool { return c != nil && c.State == engine.StateRunning }

// sameRun reports whether a and b are the same start of the same container.
func sameRun(a, b *engine.Container) bool {
	return a != nil && b != nil && a.ID == b.ID && a.Started.Equal(b.Started)
}
