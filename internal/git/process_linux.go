package git

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup starts cmd in a process group of its own, so that its children can be
// killed with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the group of a started command to end.
func terminate(cmd *exec.Cmd) error { return signal(cmd, syscall.SIGTERM) }

// kill ends the group of a started command.
func kill(cmd *exec.Cmd) error { return signal(cmd, syscall.SIGKILL) }

func signal(cmd *exec.Cmd, s syscall.Signal) error {
	err := syscall.Kill(-cmd.Process.Pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// samePeer reports whether the process at the other end of c runs as this user.
func samePeer(c *net.UnixConn) (bool, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	var peer *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		peer, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, credErr); err != nil {
		return false, err
	}
	return int(peer.Uid) == os.Geteuid(), nil
}

// limitMemory bounds the memory that a process, and each child that it starts from
// then on, may have for itself; mapped files do not count. It can be lifted again by
// the process.
func limitMemory(pid int, bytes uint64) error {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &own); err != nil {
		return err
	}
	err := unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: min(bytes, own.Max), Max: own.Max}, nil)
	if errors.Is(err, unix.ESRCH) {
		return nil // it was quick
	}
	return err
}
