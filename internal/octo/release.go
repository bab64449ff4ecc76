package octo

import (
	"fmt"
	"reflect"
	"slices"
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
	Settings
	// Before are the settings that the app had before: they come back if this fails.
	Before *Settings `json:"before,omitempty"`

	// Processes are what runs: those that the code declares, with the settings over them.
	Processes []Process `json:"processes"`
	Declared  []Process `json:"declared,omitempty"`
	// Tasks run one after the other before the release is wanted; a failure of one is
	// that of the release.
	Tasks []Task `json:"tasks,omitempty"`

	// Names are the lines of the CNAME file of what was pushed. Nil means that the release
	// has no word about names, because it was not made by a push.
	Names []string `json:"names"`

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

	// Singleton says that two copies never run at once: an old one stops before a new
	// one starts.
	Singleton bool `json:"singleton,omitempty"`
	// Restarts is that of the formation; it makes fresh instances differ from others.
	Restarts int `json:"restarts,omitempty"`

	Memory int64   `json:"memory"`        // limit in bytes
	CPU    float64 `json:"cpu,omitempty"` // limit in cores; 0 means none
	Pids   int64   `json:"pids"`          // limit of processes and threads

	Drain Duration `json:"drain"` // how long requests in flight may take to end
	Grace Duration `json:"grace"` // between SIGTERM and SIGKILL
}

// Check says how an instance proves that it is healthy. The zero kind is http for a
// process with a port, and none for one without.
type Check struct {
	Kind     CheckKind `json:"kind,omitempty"`
	Path     string    `json:"path,omitempty"`     // http: GET this; any answer below 500 will do; default /
	Command  []string  `json:"command,omitempty"`  // cmd: argv, run inside the instance; exit code 0 means healthy
	Deadline Duration  `json:"deadline"`           // from start to the first good answer
	Interval Duration  `json:"interval,omitempty"` // between checks of a healthy instance; 0 means the node's own
	Timeout  Duration  `json:"timeout,omitempty"`  // of one check; 0 means the node's own
	Retries  int       `json:"retries,omitempty"`  // checks in a row that fail until it is unhealthy; 0 means the node's own
	Uptime   Duration  `json:"uptime,omitempty"`   // none: how long it must have run to be healthy; 0 means the node's own
}

// CheckKind returns how instances of the process are checked.
func (p *Process) CheckKind() CheckKind {
	switch {
	case p.Check.Kind != "":
		return p.Check.Kind
	case p.Port != 0:
		return CheckHTTP
	}
	return CheckNone
}

// CheckKind is how an instance is checked.
type CheckKind string

// The kinds of health check.
const (
	CheckHTTP CheckKind = "http" // it answers GET with a status below 500
	CheckTCP  CheckKind = "tcp"  // it accepts a connection on its port
	CheckCmd  CheckKind = "cmd"  // a command inside it exits with 0
	CheckNone CheckKind = "none" // it has run for a moment
)

// Task is a program that runs once for a release: a migration.
type Task struct {
	Name    string   `json:"name"` // "release", "dokku.predeploy"
	Command []string `json:"command"`
	First   bool     `json:"first,omitempty"` // only for the first release of an app that is live
}

// Same reports whether r runs the same as o: the same code with the same settings,
// whoever asked for fresh instances in between.
func (r *Release) Same(o *Release) bool {
	fresh := func(ps []Process) []Process {
		ps = slices.Clone(ps)
		for i := range ps {
			ps[i].Restarts = 0
		}
		return ps
	}
	return r.Commit == o.Commit && r.Image == o.Image && r.Config == o.Config && reflect.DeepEqual(fresh(r.Processes), fresh(o.Processes))
}

// SameInstance reports whether an instance of a process of r is as good as one of o:
// they differ at most in how many there are.
func (r *Release) SameInstance(o *Release, process Name) bool {
	a, ok := r.Process(process)
	b, too := o.Process(process)
	a.Count, b.Count = 0, 0
	return ok && too && r.Image == o.Image && r.Config == o.Config && reflect.DeepEqual(a, b)
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
