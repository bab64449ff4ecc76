package octo

import "time"

// Event is something that a person may want to hear about later.
type Event struct {
	ID      string    `json:"id"` // sorts by time
	Time    time.Time `json:"time"`
	Kind    EventKind `json:"kind"`
	App     Name      `json:"app,omitempty"`
	Release int       `json:"release,omitempty"`
	User    string    `json:"user,omitempty"`
	Node    string    `json:"node,omitempty"`
	Message string    `json:"message"`
}

// EventKind tells events apart, for scripts.
type EventKind string

// The kinds of event.
const (
	EventAppCreated    EventKind = "app.created"
	EventAppDestroyed  EventKind = "app.destroyed"
	EventAppChanged    EventKind = "app.changed"
	EventBuildFailed   EventKind = "build.failed"
	EventReleased      EventKind = "release.created"
	EventReleaseLive   EventKind = "release.live"
	EventReleaseFailed EventKind = "release.failed"
	EventInstanceDown  EventKind = "instance.down"
	EventInstanceUp    EventKind = "instance.up"
	EventInstanceOOM   EventKind = "instance.oom"
	EventKeyAdded      EventKind = "key.added"
	EventKeyRemoved    EventKind = "key.removed"
	EventDiskLow       EventKind = "disk.low"
	EventRunStarted    EventKind = "run.started"
	EventRunEnded      EventKind = "run.ended"
	EventDomainAdded   EventKind = "domain.added"
	EventDomainRemoved EventKind = "domain.removed"
	EventEngineLost    EventKind = "engine.lost"
	EventEngineBack    EventKind = "engine.back"
)
