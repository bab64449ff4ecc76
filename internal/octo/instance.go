package octo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// InstanceID names one wanted or running copy of a process: "hello.web.v3.1".
// It is unique among all that are wanted at one time, and is what a container's
// label, a route and a log line refer to.
type InstanceID string

// NewInstanceID names the nth copy (from 1) of a process of a release.
func NewInstanceID(app Name, process Name, release, n int) InstanceID {
	return InstanceID(fmt.Sprintf("%s.%s.v%d.%d", app, process, release, n))
}

// Ordinal returns which copy of its process the id names; 0 if it is not well-formed.
func (id InstanceID) Ordinal() int {
	n, err := strconv.Atoi(string(id[strings.LastIndexByte(string(id), '.')+1:]))
	if err != nil {
		return 0
	}
	return n
}

// Copy returns what tells the id apart from others of its process and release: "1". It
// is empty if the id is not well-formed.
func (id InstanceID) Copy() string {
	if i := strings.LastIndexByte(string(id), '.'); i >= 0 {
		return string(id[i+1:])
	}
	return ""
}

// Assignment is one instance that a node should run.
type Assignment struct {
	Instance InstanceID `json:"instance"`
	App      Name       `json:"app"`
	Release  int        `json:"release"`
	Process  Name       `json:"process"`

	// Drain says that it must go: no new requests, wait for those in flight, stop.
	Drain bool `json:"drain,omitempty"`
}

// Instance is what a node reports of one assignment.
type Instance struct {
	ID      InstanceID `json:"id"`
	App     Name       `json:"app"`
	Release int        `json:"release"`
	Process Name       `json:"process"`
	Node    string     `json:"node"`

	Phase     Phase     `json:"phase"`
	Since     time.Time `json:"since"`               // when it entered the phase
	Started   time.Time `json:"started,omitzero"`    // when its container last started
	Restarts  int       `json:"restarts"`            // how often its container was started again
	Address   string    `json:"address,omitempty"`   // host:port, reachable from its own node only
	Container string    `json:"container,omitempty"` // the engine's id
	Memory    int64     `json:"memory,omitempty"`    // bytes in use, where measured

	Note    string   `json:"note,omitempty"`    // something worth knowing about a healthy one
	Failure *Failure `json:"failure,omitempty"` // why it is failed, or last was
}

// ShortName is how people call an instance within its app: "web.1".
func (i *Instance) ShortName() string { return fmt.Sprintf("%s.%d", i.Process, i.ID.Ordinal()) }

// Failure explains to a person why an instance, and with it a release, failed.
type Failure struct {
	Kind       FailureKind `json:"kind"`
	Message    string      `json:"message"`              // what was observed
	Hint       string      `json:"hint,omitempty"`       // what to do next
	Transcript []string    `json:"transcript,omitempty"` // what the health check tried and saw
	Logs       []string    `json:"logs,omitempty"`       // the last lines it printed
}

// FailureKind tells failures apart.
type FailureKind string

// The kinds of failure of an instance.
const (
	FailedExit     FailureKind = "exited"        // its program ended
	FailedOOM      FailureKind = "out-of-memory" // the kernel killed it over its limit
	FailedPort     FailureKind = "port-closed"   // nothing listens on any port
	FailedLoopback FailureKind = "loopback-only" // it listens on 127.0.0.1 only
	FailedWrong    FailureKind = "wrong-port"    // it listens on another port
	FailedCheck    FailureKind = "unhealthy"     // it answers, but not well
	FailedEngine   FailureKind = "engine"        // the container engine refused
)
