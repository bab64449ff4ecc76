package octo

// Route sends the requests of an app's hosts to its instances. A route without
// backends stays in the table, so that visitors learn that the app is known but
// not healthy, instead of that it does not exist.
type Route struct {
	App      Name      `json:"app"`
	Hosts    []string  `json:"hosts"` // lower case, without port
	Release  int       `json:"release"`
	Backends []Backend `json:"backends,omitempty"`

	// Crashed says that its instances start and end again, rather than being on
	// their way.
	Crashed bool `json:"crashed,omitempty"`
}

// Backend is one healthy instance and the node it runs on. A proxy finds the
// address of an instance from its own node, which has checked whose it is; it is
// never taken from the table.
type Backend struct {
	Instance InstanceID `json:"instance"`
	Node     string     `json:"node"`
}
