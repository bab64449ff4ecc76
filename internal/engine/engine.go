// Package engine is the vocabulary of a container runtime: what octohost asks of
// one and hears from it. Each caller declares the few methods it needs; the real
// runtime is in engine/docker, an in-memory twin for tests in engine/enginetest.
package engine

import (
	"time"
)

// The labels of everything that octohost makes in an engine. Objects are found by
// label and exact value, never by name. Host tells the objects of several octohosts
// on one engine apart: every list and every clean-up asks for it.
const (
	LabelHost     = "octohost.host"     // id of the octohost that owns the object
	LabelApp      = "octohost.app"      // app name
	LabelRelease  = "octohost.release"  // release number
	LabelProcess  = "octohost.process"  // process name
	LabelInstance = "octohost.instance" // instance id
	LabelCommit   = "octohost.commit"   // commit that an image was built from
	LabelCache    = "octohost.cache"    // on images that only make the next build of the app faster
	LabelSpeaker  = "octohost.speaker"  // on those that are no instances, and whose output is in the app's log: its name there, "run.x7k2p"
	LabelOneoff   = "octohost.oneoff"   // on containers that are no instances: what kind of run they are

	// The place is on labels too, since an engine does not tell the address of a
	// container that does not run.
	LabelNetwork = "octohost.network"
	LabelAddress = "octohost.address"
)

// Spec is a container to start. Nothing of it is published on the machine's own
// addresses, all capabilities that a web program does not need are dropped, and
// it cannot gain privileges.
type Spec struct {
	Name    string // unique in the engine
	Image   string // content id
	Command []string
	Bare    bool     // Command takes the place of the image's entrypoint, too
	Env     []string // NAME=value
	Files   []File   // that it finds besides those of its image
	Labels  map[string]string

	Network string // name of a network made by EnsureNetwork
	Address string // IP address in it

	Memory int64   // limit in bytes; 0 means none
	CPU    float64 // limit in cores; 0 means none
	Pids   int64   // limit of processes and threads; 0 means none
}

// File is put into a container before its program starts. It belongs to root, and
// everybody inside may read it. It stays when the container is started again.
type File struct {
	Path    string // absolute and clean; directories that are missing are made
	Content []byte
}

// State is what the engine says of a container.
type State string

// The states of a container.
const (
	StateCreated    State = "created"
	StateRunning    State = "running"
	StatePaused     State = "paused"
	StateRestarting State = "restarting"
	StateExited     State = "exited"
	StateDead       State = "dead"
)

// Container is what the engine knows of a container.
type Container struct {
	ID        string
	Name      string
	Image     string // content id
	Labels    map[string]string
	State     State
	ExitCode  int
	OOMKilled bool
	PID       int    // of its first process on the machine; 0 when it does not run
	Address   string // IP address; empty when it does not run
	Started   time.Time
	Finished  time.Time
}

// EventKind is what happened to a container.
type EventKind string

// The kinds of event that octohost listens to.
const (
	// EventSync comes first whenever the stream of events (re)starts: what was known
	// before may be wrong, list again.
	EventSync  EventKind = "sync"
	EventStart EventKind = "start"
	EventDie   EventKind = "die"
	EventOOM   EventKind = "oom"
	EventGone  EventKind = "destroy"
)

// Event is something that happened to a container.
type Event struct {
	Kind      EventKind
	Container string
	Labels    map[string]string
	ExitCode  int // for EventDie
	Time      time.Time
}

// LogOptions select lines of a container's log.
type LogOptions struct {
	Tail   int       // only the last n lines; negative means all
	Since  time.Time // only later ones; zero means all
	Follow bool      // go on until the container ends
}

// LogLine is one line that a container printed.
type LogLine struct {
	Time   time.Time
	Stderr bool
	Text   string // without the newline; at most 64 KiB, longer lines come in pieces
}

// NetworkSpec is a private network on this machine, in which containers cannot
// reach each other, only the outside world; the machine reaches them.
type NetworkSpec struct {
	Name   string
	Labels map[string]string
	// Pools are prefixes in CIDR notation ("10.213.0.0/16") from which the network
	// takes the first free subnet of SubnetBits.
	Pools      []string
	SubnetBits int
}

// Network is an existing network.
type Network struct {
	ID      string
	Name    string
	Subnet  string // CIDR
	Gateway string // the machine's own address in it
	// Reserved is the part of the subnet (CIDR) from which the engine itself gives
	// addresses to containers that did not ask for one; octohost never uses it.
	Reserved string
}

// BuildSpec is an image to build from a tar of the source.
type BuildSpec struct {
	Tag        string // name:tag for the result
	Dockerfile string // path inside the tar
	Labels     map[string]string
	Memory     int64   // limit of each build step in bytes; 0 means none
	CPU        float64 // limit of each build step in cores; 0 means none
	// Scope keeps the caches of builds apart: what RUN steps made, and cache mounts, are
	// used again by builds of the same scope only. It has letters, digits, "-" and ".".
	// Empty means that the build shares them with all others without.
	Scope string
	// Secrets are what RUN --mount=type=secret finds, by id. Only BuildKit has such
	// mounts. They leave no trace in the image.
	Secrets map[string][]byte
}

// Image is an image that the engine has.
type Image struct {
	ID         string // content id, sha256:…
	Tags       []string
	Labels     map[string]string
	Created    time.Time
	Size       int64 // bytes
	Ports      []int // TCP ports of EXPOSE, ascending
	Env        []string
	Entrypoint []string
	Command    []string
	Health     *Healthcheck // HEALTHCHECK; nil means that there is none
}

// Healthcheck is the HEALTHCHECK of an image. The engine never runs it. What is zero
// has Docker's default.
type Healthcheck struct {
	Command     []string      // argv
	Interval    time.Duration // between two checks
	Timeout     time.Duration // of one
	StartPeriod time.Duration // in which failures do not count
	Retries     int           // failures in a row until it is unhealthy
}

// Info is what an engine says of itself.
type Info struct {
	Version    string
	APIVersion string
	Root       string // directory where it keeps images and containers, on its machine
	Driver     string // storage driver
	Memory     int64  // bytes of the machine
	CPUs       int
	BuildKit   bool     // builds with BuildKit by default
	Warnings   []string // what it complains about itself
}
