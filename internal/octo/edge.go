package octo

import (
	"cmp"
	"strings"
)

// Edge is what an app wants of the proxy in front of it. A zero field means what the
// operator has decided for all.
type Edge struct {
	Timeout Duration `json:"timeout,omitempty"` // until the app begins to answer; more is 504
	Body    Size     `json:"body,omitempty"`    // largest body of a request in bytes; more is 413
	Idle    Duration `json:"idle,omitempty"`    // how long an answer or an upgraded connection may be silent
}

// Maintenance says that visitors of an app get a page instead.
type Maintenance struct {
	Message string   `json:"message,omitempty"` // for visitors; empty means the proxy's own words
	Retry   Duration `json:"retry,omitempty"`   // after which they should come back; 0 means a minute
	// Page names a Page of the app's own that browsers get; empty means the proxy's.
	Page string `json:"page,omitempty"`
}

// MaxPage is how large a page of an app's own can be, in bytes.
const MaxPage = 64 << 10

// Page is what browsers see of a closed app. It is kept beside the app's document, for
// it may be large.
type Page struct {
	ID   string `json:"id"` // differs from that of any other page
	HTML string `json:"html"`
}

// EdgeStatus is the proxy in front of an app as people see it.
type EdgeStatus struct {
	Set   Edge `json:"set"`   // what was set for the app
	Holds Edge `json:"holds"` // what holds: that, or what holds for all; 0 means no limit
	Most  Edge `json:"most"`  // the most that may be set; 0 means no limit
}

// Within returns what holds: what e says, else what otherwise says, but never more than
// most. Zero means not said, and in the end no limit.
func (e Edge) Within(otherwise, most Edge) Edge {
	return Edge{
		Timeout: bounded(e.Timeout, otherwise.Timeout, most.Timeout),
		Body:    bounded(e.Body, otherwise.Body, most.Body),
		Idle:    bounded(e.Idle, otherwise.Idle, most.Idle),
	}
}

func bounded[T cmp.Ordered](v, otherwise, most T) T {
	var zero T
	v = cmp.Or(v, otherwise)
	if most != zero && (v == zero || v > most) {
		return most
	}
	return v
}

// EdgeChange is somebody's wish to change what the proxy grants an app. What is nil
// stays; zero goes back to what holds for all.
type EdgeChange struct {
	Timeout *Duration `json:"timeout,omitempty"`
	Body    *Size     `json:"body,omitempty"`
	Idle    *Duration `json:"idle,omitempty"`
}

// Over returns e with the change.
func (c EdgeChange) Over(e Edge) Edge {
	setIf(&e.Timeout, c.Timeout)
	setIf(&e.Body, c.Body)
	setIf(&e.Idle, c.Idle)
	return e
}

// String prints the change as it is typed: "timeout=1m0s body=default".
func (c EdgeChange) String() string {
	var words []string
	say := func(name string, text []byte, zero bool) {
		if zero {
			text = []byte("default")
		}
		words = append(words, name+"="+string(text))
	}
	if c.Timeout != nil {
		text, _ := c.Timeout.MarshalText() // cannot fail
		say("timeout", text, *c.Timeout == 0)
	}
	if c.Body != nil {
		text, _ := c.Body.MarshalText() // cannot fail
		say("body", text, *c.Body == 0)
	}
	if c.Idle != nil {
		text, _ := c.Idle.MarshalText() // cannot fail
		say("idle", text, *c.Idle == 0)
	}
	return strings.Join(words, " ")
}

// MaintenanceStatus is whether an app is closed to its visitors.
type MaintenanceStatus struct {
	App Name `json:"app"`
	On  bool `json:"on"`
	Maintenance
}
