package api

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// trace is what a call leaves in the audit trail: nothing, unless it is watched.
type trace struct {
	keep      func(octo.Audit)
	audit     octo.Audit
	watched   bool
	discreet  bool // what goes wrong may quote a secret
	concluded bool
}

// watched reports whether calls of a route are audited: all that change something, or
// read secrets. What there is not changes nothing.
func (rt route) watched() bool {
	method, _, known := strings.Cut(rt.pattern, " ")
	return known && (method != http.MethodGet || rt.action == octo.ActionAppSecret)
}

// discreet reports whether what a route is given or gives back may be secret.
func (rt route) discreet() bool {
	return rt.action == octo.ActionAppSecret || rt.action == octo.ActionAppRun
}

// watch decides whether the call is audited, by its route and whether it was refused.
func (c *call) watch(rt route, refusal error) {
	denied := octo.Kind(refusal) == octo.ErrDenied || octo.Kind(refusal) == octo.ErrNotFound
	c.trace.watched, c.trace.discreet = rt.watched() || denied, rt.discreet() && refusal == nil
	if !c.trace.watched {
		return
	}
	for _, name := range parameters(rt.pattern) {
		if name != "app" {
			c.note(name, c.PathValue(name))
		}
	}
}

// parameters returns what is in braces in a route's pattern.
func parameters(pattern string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(pattern, -1) {
		names = append(names, m[1])
	}
	return names
}

// maxNote is the most of a note that is kept, in bytes.
const maxNote = 300

// note adds something to what is audited of this call: never the value of a secret.
func (c *call) note(name, value string) {
	if !c.trace.watched || value == "" {
		return
	}
	if len(value) > maxNote {
		value = strings.ToValidUTF8(value[:maxNote], "") + "…"
	}
	if c.trace.audit.Detail == nil {
		c.trace.audit.Detail = map[string]string{}
	}
	c.trace.audit.Detail[name] = value
}

// begin tells the audit trail at once of what may go on for long.
func (c *call) begin() {
	if c.trace.watched {
		begun := c.trace.audit
		begun.Result = octo.AuditBegun
		c.trace.keep(begun)
	}
}

// conclude tells the audit trail how the call has ended, the first time it is called.
// That is before the answer is sent: what was acknowledged, or a secret that was read,
// is in the trail.
func (c *call) conclude(err error) {
	if !c.trace.watched || c.trace.concluded {
		return
	}
	c.trace.concluded = true
	a := c.trace.audit.Ended(err)
	if err != nil && c.Context().Err() != nil {
		a.Result = octo.AuditLeft
	}
	if c.trace.discreet {
		a.Error = ""
	}
	c.trace.keep(a)
}

// noteProgram notes what somebody runs, and that it begins: it may go on for long.
func (c *call) noteProgram(p octo.Program) {
	c.note("command", argv(p.Command))
	if len(p.Env) > 0 {
		var names []string
		for _, assignment := range p.Env {
			name, _, _ := strings.Cut(assignment, "=")
			names = append(names, name)
		}
		c.note("env", strings.Join(names, " "))
	}
	c.begin()
}

// argv returns a command as the audit trail may have it. What looks like the value of
// a secret is left out; nobody can know all of them by their looks.
func argv(args []string) string {
	secret := regexp.MustCompile(`(?i)(pass|secret|token|key|credential|auth|private)`)
	var out []string
	hide := false
	for _, arg := range args {
		name, _, assigned := strings.Cut(arg, "=")
		switch {
		case hide && !strings.HasPrefix(arg, "-"):
			arg, hide = "…", false
		case assigned:
			arg, hide = name+"=…", false
		default:
			hide = strings.HasPrefix(arg, "-") && secret.MatchString(arg)
			arg = userinfo().ReplaceAllString(arg, "$1…@")
		}
		out = append(out, arg)
	}
	return strings.Join(out, " ")
}

// userinfo finds what stands before the host in a URL.
func userinfo() *regexp.Regexp { return regexp.MustCompile(`(://)[^/@\s]+@`) }
