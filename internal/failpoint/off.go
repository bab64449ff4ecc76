//go:build !failpoint

// Package failpoint marks the places where a test lets the process die. In normal
// builds a fail point is an empty function; built with the tag failpoint, it kills
// its own process with SIGKILL when the environment variable OCTO_FAILPOINT names
// it ("name", or "name:3" for the third hit).
package failpoint

// Hit is a place where the process may die in a test.
func Hit(string) {}
