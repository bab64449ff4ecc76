//go:build !linux

package sshd

import "syscall"

// acknowledge does nothing: the daemon runs on Linux only.
func acknowledge(syscall.RawConn) {}
