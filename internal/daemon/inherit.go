package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// inherited are listeners, by name, that the parent of this process has opened and
// keeps open. Whoever connects while octo is restarted waits in them.
type inherited map[string]net.Listener

// The first file that a parent hands over, and the most that it may.
const (
	firstInherited = 3
	maxInherited   = 64
)

// inherit takes over what a parent such as systemd hands over by the protocol of
// sd_listen_fds(3): LISTEN_FDS files, with their names in LISTEN_FDNAMES, if they are
// meant for this process, LISTEN_PID. Those that octo has no use for are an error.
func inherit(getenv func(string) string, pid int) (inherited, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxInherited {
		return nil, octo.Errorf(octo.ErrInvalid, "LISTEN_FDS is %q, it must be a small number", getenv("LISTEN_FDS"))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	given := inherited{}
	for i := range n {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		if err := given.take(name, firstInherited+i); err != nil {
			return nil, errors.Join(err, given.close())
		}
	}
	return given, nil
}

// take makes a listener of a file. The file itself is closed: it would stay open in
// every program that octo starts.
func (in inherited) take(name string, fd int) error {
	file := os.NewFile(uintptr(fd), name)
	l, err := net.FileListener(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return octo.Errorf(octo.ErrInvalid, "the socket %q that octo was given cannot be listened on: %v", name, err)
	}
	_, tcp := l.Addr().(*net.TCPAddr)
	if (name != "http" && name != "ssh") || !tcp || in[name] != nil {
		return errors.Join(octo.Errorf(octo.ErrInvalid, "octo was given a socket %q at %s, and knows nothing to do with it", name, l.Addr()).
			WithHint("in the socket unit write FileDescriptorName=http (or ssh) and one ListenStream=host:port"), l.Close())
	}
	in[name] = l
	return nil
}

// close gives up those that nobody has taken.
func (in inherited) close() error {
	var errs error
	for _, l := range in {
		errs = errors.Join(errs, ignoreClosed(l.Close()))
	}
	return errs
}

// inherit takes over what the parent has opened. Its addresses go over the settings.
func (d *Daemon) inherit() (err error) {
	if d.given, err = inherit(os.Getenv, os.Getpid()); err != nil {
		return fmt.Errorf("take over sockets: %w", err)
	}
	usual := Defaults()
	d.overruled = map[string]string{}
	for _, door := range []struct {
		name         string
		said         *string
		unlessItSays string
	}{{"http", &d.settings.HTTP, usual.HTTP}, {"ssh", &d.settings.SSH, usual.SSH}} {
		l := d.given[door.name]
		if l == nil {
			continue
		}
		at := l.Addr().String()
		d.log.Info("listening on a socket that was opened before", "door", door.name, "address", at)
		if *door.said != door.unlessItSays && port(*door.said) != port(at) {
			d.log.Warn("a setting is not used, for the socket was opened before", "setting", door.name, "value", *door.said, "address", at)
			d.overruled[door.name] = *door.said
		}
		*door.said = at
	}
	return nil
}

func port(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return port
}

// listen opens a door, unless the parent of this process has.
func (d *Daemon) listen(what, addr string) (net.Listener, error) {
	if l := d.given[what]; l != nil {
		return l, nil
	}
	return listen(what, addr)
}
