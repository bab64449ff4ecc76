package git

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxPkt is the longest packet, with its four-digit length (gitprotocol-common).
const maxPkt = 65520

// errFlush is what readPkt returns for the packet that ends a list.
var errFlush = errors.New("flush packet")

// readPkt reads one packet of git's pkt-line format, without its length. It
// returns errFlush for a flush packet, and io.EOF at the end between two packets.
func readPkt(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 16)
	switch {
	case err != nil:
		return nil, fmt.Errorf("packet length %q is not hexadecimal", head)
	case n == 0:
		return nil, errFlush
	case n < 4 || n > maxPkt:
		return nil, fmt.Errorf("packet length %d is out of range", n)
	}
	data := make([]byte, n-4)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read packet: %w", noEOF(err))
	}
	return data, nil
}

// noEOF turns an end in the wrong place into an error that says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendPkt appends a packet. Data must fit in one.
func appendPkt(b []byte, data ...string) []byte {
	n := 4
	for _, d := range data {
		n += len(d)
	}
	b = fmt.Appendf(b, "%04x", n)
	for _, d := range data {
		b = append(b, d...)
	}
	return b
}

// appendFlush appends a flush packet.
func appendFlush(b []byte) []byte { return append(b, "0000"...) }

// readList reads packets up to a flush, at most max of them. One newline at the
// end of a packet is no part of it.
func readList(r *bufio.Reader, most int) ([]string, error) {
	var list []string
	for {
		data, err := readPkt(r)
		if errors.Is(err, errFlush) {
			return list, nil
		}
		if err != nil {
			return list, noEOF(err)
		}
		if len(list) == most {
			return list, fmt.Errorf("more than %d packets", most)
		}
		if n := len(data); n > 0 && data[n-1] == '\n' {
			data = data[:n-1]
		}
		list = append(list, string(data))
	}
}
