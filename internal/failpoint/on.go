//go:build failpoint

// Package failpoint marks the places where a test lets the process die. In normal
// builds a fail point is an empty function; built with the tag failpoint, it kills
// its own process with SIGKILL when the environment variable OCTO_FAILPOINT names
// it ("name", or "name:3" for the third hit).
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// hits counts how often the wanted point was reached. A package's variable may
// change here for once: there is one process to kill.
var hits atomic.Int64

// Hit is a place where the process may die in a test.
func Hit(name string) {
	wanted, count, _ := strings.Cut(os.Getenv("OCTO_FAILPOINT"), ":")
	if wanted != name {
		return
	}
	nth, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		nth = 1
	}
	if hits.Add(1) != nth {
		return
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err) // a process may always kill itself
	}
	select {} // nothing more may happen until the signal arrives
}
