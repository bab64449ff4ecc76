//go:build unix

package cli

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/octo"
)

// passedOn are the signals that a program gets besides those that end a command.
// Those that nohup(1) has had ignored stay so.
func passedOn() []os.Signal {
	var all []os.Signal
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
}

// signalName returns the name of a signal without "SIG".
func signalName(s os.Signal) octo.SignalName {
	number, ok := s.(syscall.Signal)
	if !ok {
		return ""
	}
	return octo.SignalName(strings.TrimPrefix(unix.SignalName(number), "SIG"))
}

// notifyResize has changes get an element when the terminal's size has changed.
func notifyResize(changes chan<- os.Signal) { signal.Notify(changes, syscall.SIGWINCH) }

// hush makes a terminal show no more what is typed.
func hush(fd int) error {
	t, err := unix.IoctlGetTermios(fd, getTerminal)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, setTerminal, t)
}
