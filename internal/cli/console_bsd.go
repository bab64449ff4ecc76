//go:build unix && !linux

package cli

import "golang.org/x/sys/unix"

// The requests of ioctl(2) that read and set how a terminal behaves, see tty(4).
const (
	getTerminal = unix.TIOCGETA
	setTerminal = unix.TIOCSETA
)
