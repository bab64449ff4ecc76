package node

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxSockets bounds how many lines of a socket table are read.
const maxSockets = 10_000

// engineResolver is where the engine itself listens inside of every container on a
// network of ours, to answer DNS questions.
const engineResolver = "127.0.0.11"

// listeners returns the TCP sockets that listen in the network of a process, as its
// socket tables below proc ("/proc") tell.
func listeners(proc string, pid int) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, strconv.Itoa(pid), "net", table))
		if os.IsNotExist(err) && table == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("open socket table: %w", err)
		}
		found, err := parseListeners(f)
		_ = f.Close() // only read from
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// parseListeners reads a table in the format of /proc/net/tcp and tcp6 (proc(5)),
// and returns those sockets that listen, but for the engine's own.
func parseListeners(r io.Reader) ([]netip.AddrPort, error) {
	const listen = "0A"
	var found []netip.AddrPort
	lines := bufio.NewScanner(io.LimitReader(r, maxSockets*256))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != listen {
			continue
		}
		socket, err := parseSocket(fields[1])
		if err != nil {
			return nil, err
		}
		if socket.Addr().String() != engineResolver {
			found = append(found, socket)
		}
	}
	return found, lines.Err()
}

// parseSocket reads "0100007F:1388": words of four bytes of the address as the
// machine's own byte order makes numbers of them, and the port as a number.
func parseSocket(s string) (netip.AddrPort, error) {
	address, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(address)
	if !ok || err != nil || (len(raw) != 4 && len(raw) != 16) {
		return netip.AddrPort{}, fmt.Errorf("%q is not a socket address", s)
	}
	for word := range len(raw) / 4 {
		b := raw[4*word : 4*word+4]
		binary.NativeEndian.PutUint32(b, binary.BigEndian.Uint32(b))
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q has no port number: %w", s, err)
	}
	addr, _ := netip.AddrFromSlice(raw) // 4 or 16 bytes always are an address
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
