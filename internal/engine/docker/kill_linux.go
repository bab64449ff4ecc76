package docker

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/octo"
)

// kill sends a signal to a process that leads a group, and to all in it.
func kill(pid int, name octo.SignalName) error {
	number := unix.SignalNum("SIG" + string(name))
	if number == 0 {
		return fmt.Errorf("%s is no signal", name)
	}
	if err := unix.Kill(-pid, number); err == nil {
		return nil
	}
	return unix.Kill(pid, number)
}
