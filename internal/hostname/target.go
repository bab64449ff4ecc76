package hostname

import (
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// ParseTarget returns the normal form of where a redirect leads: a host name, if need
// be with http:// or https:// in front and a port behind. The error is of kind
// octo.ErrInvalid.
func ParseTarget(s string) (string, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(s), "://")
	if !ok {
		scheme, rest = "", scheme
	}
	scheme = strings.ToLower(scheme)
	if ok && scheme != "http" && scheme != "https" {
		return "", octo.Errorf(octo.ErrInvalid, "a redirect cannot lead to %.80q", s).WithHint("give a host name, or https:// and a host name")
	}
	rest = strings.TrimSuffix(rest, "/")
	name, port, hasPort := strings.Cut(rest, ":")
	if isAddress(rest) {
		name, hasPort = rest, false
	}
	if strings.ContainsAny(rest, "/?#") {
		return "", octo.Errorf(octo.ErrInvalid, "a redirect leads to another host, and keeps path and query: %.80q", s).WithHint("leave the path out")
	}
	host, err := Parse(name)
	if err != nil {
		return "", err
	}
	if IsWild(host) {
		return "", octo.Errorf(octo.ErrInvalid, "a redirect leads to one host, not to %s", host).WithHint("for example to www.%s", Base(host))
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", octo.Errorf(octo.ErrInvalid, "%.20q is not the number of a port", port)
		}
		host += ":" + strconv.FormatUint(n, 10)
	}
	if scheme != "" {
		host = scheme + "://" + host
	}
	return host, nil
}

// TargetHost returns the host name in a target in normal form.
func TargetHost(target string) string {
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		rest = target
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}
