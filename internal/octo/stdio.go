package octo

import "io"

// Stdio is what a program that somebody runs from afar reads and writes.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Console is where the person sits; nil where that is not known.
	Console Console
}
