package octo

import "time"

// AppStatus is an app as people see it: what is wanted, and how it is.
type AppStatus struct {
	App
	State     AppState `json:"state"`
	URL       string   `json:"url"`               // where it is reached, as far as this octohost knows
	GitURL    string   `json:"git_url"`           // where to push
	Domains   []string `json:"domains,omitempty"` // names it answers to besides that in URL, without redirects
	Instances int      `json:"instances"`         // wanted
	Healthy   int      `json:"healthy"`           // of them healthy
}

// AppState sums up how an app is.
type AppState string

// The states of an app.
const (
	StateEmpty      AppState = "empty"      // created, nothing released
	StateDeploying  AppState = "deploying"  // a release is rolling out
	StateUp         AppState = "up"         // everything that is wanted is healthy
	StateDegraded   AppState = "degraded"   // some of it is healthy
	StateDown       AppState = "down"       // nothing is
	StateDestroying AppState = "destroying" // on its way out
)

// EventQuery selects events.
type EventQuery struct {
	App    Name      // only of this app; empty means all that the person may see
	Tail   int       // the last n; 0 means 100
	Since  time.Time // only later ones
	Follow bool      // go on with what comes
}

// Finding is the result of one check of octo doctor.
type Finding struct {
	Check   string        `json:"check"`             // what was looked at: "engine", "disk"
	Level   FindingLevel  `json:"level"`             // ok, warning or problem
	Message string        `json:"message"`           // what was seen
	Remedy  string        `json:"remedy,omitempty"`  // how to mend it
	Took    time.Duration `json:"took_ns,omitempty"` // how long the check took
}

// FindingLevel is how bad a finding is.
type FindingLevel string

// The levels of a finding. Only a problem makes octo doctor exit non-zero.
const (
	FindingOK      FindingLevel = "ok"
	FindingWarning FindingLevel = "warning"
	FindingProblem FindingLevel = "problem"
)

// Push is one branch that somebody pushed: what a deploy starts from.
type Push struct {
	App    Name
	Branch string // "main"
	Old    string // object id that the branch had; all zeroes means none
	New    string // object id that it should have
	User   string
	Who    Identity // the same person, as the door knows them

	// Options is what the person gave with git push -o.
	Options []string
}
