package octo

import (
	"fmt"
	"time"
)

// Release is one immutable version of an app: code, configuration and formation.
// Only its Outcome is written later, once.
type Release struct {
	App    Name `json:"app"`
	Number int  `json:"number"`

	Image  string `json:"image"`            // the engine's content id, sha256:…
	Commit string `json:"commit,omitempty"` // full object id in the app's repository
	Branch string `json:"branch,omitempty"` // the branch that was pushed
	Config int    `json:"config"`           // version of the configuration; 0 means none

	Processes []Process `json:"processes"`

	Author      string    `json:"author"`
	Description string    `json:"description"` // "Deploy 1a2b3c4", "Rollback to v2"
	Created     time.Time `json:"created"`

	Outcome Outcome   `json:"outcome,omitempty"`
	Settled time.Time `json:"settled,omitzero"` // when Outcome was written
	Failure *Failure  `json:"failure,omitempty"`
}

// Version returns the release's name, "v3".
func (r *Release) Version() string { return Version(r.Number) }

// Version returns the name of release n: "v3".
func Version(n int) string { return fmt.Sprintf("v%d", n) }

// Process returns the process of that name, or false.
func (r *Release) Process(name Name) (Process, bool) {
	for _, p := range r.Processes {
		if p.Name == name {
			return p, true
		}
	}
	return Process{}, false
}

// Outcome is how the rollout of a release ended: a fact, written once. The zero
// value means that it is still rolling out.
type Outcome string

// The outcomes of a rollout.
const (
	Pending    Outcome = ""           // still rolling out
	Live       Outcome = "live"       // every process was healthy and routed
	Failed     Outcome = "failed"     // an instance could not become healthy
	Superseded Outcome = "superseded" // another release was wanted before it was live
)

// Web is the process that receives HTTP requests.
const Web Name = "web"

// Process is one kind of program in a release: "web", "worker".
type Process struct {
	Name    Name     `json:"name"`
	Command []string `json:"command,omitempty"` // argv; nil means the image's own
	Count   int      `json:"count"`             // instances wanted

	Port  int   `json:"port,omitempty"` // TCP port that it listens on, and the value of $PORT; 0 means none
	Check Check `json:"check"`

	Memory int64   `json:"memory"`        // limit in bytes
	CPU    float64 `json:"cpu,omitempty"` // limit in cores; 0 means none
	Pids   int64   `json:"pids"`          // limit of processes and threads

	Drain Duration `json:"drain"` // how long requests in flight may take to end
	Grace Duration `json:"grace"` // between SIGTERM and SIGKILL
}

// Check says how an instance proves that it is healthy. Without a port there is
// nothing to ask: it is healthy when it has run for a moment.
type Check struct {
	Path     string   `json:"path,omitempty"` // GET this; any answer below 500 will do; default /
	Deadline Duration `json:"deadline"`       // from start to the first good answer
}

// The defaults of a process.
const (
	DefaultPort     = 5000
	DefaultMemory   = 512 << 20
	DefaultPids     = 512
	DefaultDeadline = Duration(60 * time.Second)
	DefaultDrain    = Duration(30 * time.Second)
	DefaultGrace    = Duration(30 * time.Second)
)

// NewProcess returns a process with every default set.
func NewProcess(name Name, port int) Process {
	return Process{
		Name: name, Count: 1, Port: port,
		Check:  Check{Path: "/", Deadline: DefaultDeadline},
		Memory: DefaultMemory, Pids: DefaultPids,
		Drain: DefaultDrain, Grace: DefaultGrace,
	}
}
