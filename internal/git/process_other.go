//go:build !linux

package git

import (
	"net"
	"os/exec"
)

// The daemon runs on Linux only; these let the client be built elsewhere.

func ownGroup(*exec.Cmd) {}

func terminate(cmd *exec.Cmd) error { return kill(cmd) }

func kill(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func samePeer(*net.UnixConn) (bool, error) { return false, nil }

func limitMemory(int, uint64) error { return nil }
