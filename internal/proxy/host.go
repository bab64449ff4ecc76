package proxy

import (
	"net/netip"
	"strings"
)

// The longest name and label of the DNS, in bytes (RFC 1035 §2.3.4).
const (
	maxHost  = 253
	maxLabel = 63
)

// appendHost appends the canonical form of a Host field (RFC 9110 §7.2) to dst:
// lower case, without port and without a final dot; an IPv6 literal in brackets
// and in the form of RFC 5952. It reports false for what is no host; dst is then
// not to be used. It does not allocate when dst has room for 255 bytes.
func appendHost(dst []byte, field string) ([]byte, bool) {
	name, port, ok := cutPort(field)
	if !ok || !validPort(port) {
		return dst, false
	}
	if strings.HasPrefix(name, "[") {
		return appendIPv6(dst, name[1:len(name)-1])
	}
	return appendName(dst, strings.TrimSuffix(name, "."))
}

// routeHost is appendHost for the hosts of a route, where a bare IPv6 address may
// be written too, and "*." for one label of any name.
func routeHost(host string) (string, bool) {
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		b, ok := appendHost(append(make([]byte, 0, maxHost+2), "*."...), parent)
		return string(b), ok
	}
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	b, ok := appendHost(make([]byte, 0, maxHost), host)
	return string(b), ok
}

// cutPort splits a Host field into name and port (without the colon).
func cutPort(field string) (name, port string, ok bool) {
	if !strings.HasPrefix(field, "[") {
		name, port, _ = strings.Cut(field, ":")
		return name, port, true
	}
	end := strings.IndexByte(field, ']')
	if end < 0 {
		return "", "", false
	}
	name, rest := field[:end+1], field[end+1:]
	if rest != "" && rest[0] != ':' {
		return "", "", false
	}
	return name, strings.TrimPrefix(rest, ":"), true
}

// validPort reports whether s is a port number; an empty one is allowed
// (RFC 3986 §3.2.3).
func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		if n = n*10 + int(s[i]-'0'); n > 65535 {
			return false
		}
	}
	return true
}

func appendIPv6(dst []byte, s string) ([]byte, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return dst, false
	}
	dst = append(dst, '[')
	dst = addr.AppendTo(dst)
	return append(dst, ']'), true
}

// appendName appends a DNS name or an IPv4 address in lower case. Underscores are
// let through: names with them exist.
func appendName(dst []byte, name string) ([]byte, bool) {
	if name == "" || len(name) > maxHost {
		return dst, false
	}
	label := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.':
			if label == 0 {
				return dst, false
			}
			label = -1
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case !hostByte(c):
			return dst, false
		}
		if label++; label > maxLabel {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, label > 0
}

func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
