package sshd

import "syscall"

// acknowledge sends an acknowledgement that is due; tcp(7), TCP_QUICKACK, which does
// not last.
func acknowledge(c syscall.RawConn) {
	_ = c.Control(func(fd uintptr) { // an ACK that is late is no harm
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) //nolint:gosec // a descriptor
	})
}
