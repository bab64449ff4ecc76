package octo

// Garbage is something that nothing needs any more, or that has to make room.
type Garbage struct {
	Kind GarbageKind `json:"kind"`
	Name string      `json:"name"`
	App  Name        `json:"app,omitempty"`
	Why  string      `json:"why"` // it may go
	// Bytes is how much it takes at most: images share parts with each other. 0 means
	// next to nothing, or unknown.
	Bytes int64  `json:"bytes,omitempty"`
	Error string `json:"error,omitempty"` // why it is still there
}

// GarbageKind is a kind of garbage.
type GarbageKind string

// The kinds of garbage.
const (
	GarbageImage      GarbageKind = "image"
	GarbageContainer  GarbageKind = "container"
	GarbageNetwork    GarbageKind = "network"
	GarbageReleases   GarbageKind = "releases" // old ones: no longer listed, and nothing can go back to them
	GarbageKey        GarbageKind = "key"      // a deploy key of an app that is gone
	GarbageBuildCache GarbageKind = "build cache"
)

// Collection is a wish to remove garbage.
type Collection struct {
	Dry bool // only find it
	// All says that everything goes that can be made again: the build cache, and all
	// images but those that run.
	All bool
}
