//go:build !linux

package cli

// withDaemon adds nothing: elsewhere than on Linux, octo is a client.
func withDaemon(env Env) Env { return env }
