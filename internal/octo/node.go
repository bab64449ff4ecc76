package octo

import "time"

// Node is one machine.
type Node struct {
	Name    string            `json:"name"`
	Version string            `json:"version"` // of octo
	Engine  string            `json:"engine"`  // version of the container engine
	Memory  int64             `json:"memory"`  // bytes that instances may use in all; 0 means unknown
	Labels  map[string]string `json:"labels,omitempty"`
	Started time.Time         `json:"started"` // of this run of the daemon

	// Cordoned says that nothing new is placed here.
	Cordoned bool `json:"cordoned,omitempty"`
}
