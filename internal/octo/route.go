package octo

// Route sends the requests of an app's hosts to its instances. A route without
// backends stays in the table, so that visitors learn that the app is known but
// not healthy, instead of that it does not exist.
type Route struct {
	App Name `json:"app"`
	// Hosts are in lower case and without port. "*." in front stands for exactly one
	// label; a whole name goes before one with it.
	Hosts    []string  `json:"hosts"`
	Release  int       `json:"release"`
	Backends []Backend `json:"backends,omitempty"`

	// Crashed says that its instances start and end again, rather than being on
	// their way.
	Crashed bool `json:"crashed,omitempty"`
	// Stopped says that nobody is to answer, because a person has stopped the app.
	Stopped bool `json:"stopped,omitempty"`
	// Redirects are those of Hosts from which visitors are sent elsewhere.
	Redirects []Redirect `json:"redirects,omitempty"`
	// Maintenance keeps visitors away from the instances.
	Maintenance *Maintenance `json:"maintenance,omitempty"`
	Edge        Edge         `json:"edge,omitzero"`
}

// Redirect sends visitors of a host to another one; path and query stay.
type Redirect struct {
	Host   string `json:"host"`
	Target string `json:"target"` // a host, if need be with scheme and port; without them those of the request stay
	Code   int    `json:"code"`   // 301, 302, 307 or 308
}

// Backend is one healthy instance and the node it runs on. A proxy finds the
// address of an instance from its own node, which has checked whose it is; it is
// never taken from the table.
type Backend struct {
	Instance InstanceID `json:"instance"`
	Node     string     `json:"node"`
}
