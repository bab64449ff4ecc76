package cli

import "golang.org/x/sys/unix"

// The requests of ioctl(2) that read and set how a terminal behaves, see ioctl_tty(2).
const (
	getTerminal = unix.TCGETS
	setTerminal = unix.TCSETS
)
