//go:build !unix

package cli

import (
	"os"
	"syscall"

	"github.com/octohost/octohost/internal/octo"
)

// passedOn are the signals that a program gets besides those that end a command.
func passedOn() []os.Signal { return []os.Signal{syscall.SIGHUP} }

// signalName returns the name of a signal without "SIG".
func signalName(s os.Signal) octo.SignalName {
	return map[os.Signal]octo.SignalName{os.Interrupt: "INT", syscall.SIGTERM: "TERM", syscall.SIGHUP: "HUP"}[s]
}

// notifyResize does nothing: here nobody tells.
func notifyResize(chan<- os.Signal) {}

// hush does nothing: here the reader of the answer does it.
func hush(int) error { return nil }
