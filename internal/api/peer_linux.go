package api

import (
	"fmt"
	"net"
	"os/user"
	"strconv"
	"syscall"

	"github.com/octohost/octohost/internal/octo"
)

// peer asks the kernel who is at the other end of a Unix socket.
func peer(conn net.Conn) (octo.Identity, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return octo.Identity{}, fmt.Errorf("%T is not a Unix socket", conn)
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return octo.Identity{}, fmt.Errorf("reach socket: %w", err)
	}
	var cred *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return octo.Identity{}, fmt.Errorf("read peer credentials: %w", err)
	}
	return octo.Identity{User: loginName(cred.Uid), Admin: true}, nil
}

// loginName returns the name of a user of this machine, or "local" where it has
// none.
func loginName(uid uint32) string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil || u.Username == "" {
		return "local"
	}
	return u.Username
}
