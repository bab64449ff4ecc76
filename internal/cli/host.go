package cli

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// host is an octohost that is reached over SSH. The zero value is none. It is made
// by parseHost and parseGitURL only, so that none of its parts can be taken for an
// option of ssh, or do harm in the configuration that ssh puts it into.
type host struct {
	User string
	Name string // a name of DNS or of ~/.ssh/config, or an IP address
	Port int    // 0 means what ssh chooses
}

// defaultUser is who everybody logs in as: the key says who they are.
const defaultUser = "octo"

// String returns the URL.
func (h host) String() string {
	return "ssh://" + h.User + "@" + h.address()
}

// address returns host:port as people write it.
func (h host) address() string {
	name := h.Name
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if h.Port != 0 {
		name += ":" + strconv.Itoa(h.Port)
	}
	return name
}

// parseHost reads ssh://[user@]host[:port]; the error says what is wrong.
func parseHost(text string) (host, error) {
	h, path, why := parseSSHURL(text)
	if why == "" && strings.Trim(path, "/") != "" {
		why = "it has a path"
	}
	if why != "" {
		return host{}, octo.Errorf(octo.ErrInvalid, "%.80q is not the address of an octohost: %s", text, why).
			WithHint("write ssh://octo@HOST:2222")
	}
	return h, nil
}

// parseSSHURL reads an ssh:// URL and returns its path too, or why it is none.
func parseSSHURL(text string) (h host, path, why string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return host{}, "", "it is not a URL"
	case u.Scheme != "ssh":
		return host{}, "", "it does not start with ssh://"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return host{}, "", "it has more than a path"
	}
	if _, secret := u.User.Password(); secret {
		return host{}, "", "it contains a password; octohost knows you by your key"
	}
	h = host{User: u.User.Username(), Name: u.Hostname()}
	if h.User == "" {
		h.User = defaultUser
	}
	if port := u.Port(); port != "" {
		if h.Port, err = strconv.Atoi(port); err != nil || h.Port < 1 || h.Port > 65535 {
			return host{}, "", "its port is not a number from 1 to 65535"
		}
	}
	return h, u.Path, h.bad()
}

// bad says why h must not be given to ssh.
func (h host) bad() string {
	switch {
	case !plainWord(h.User):
		return "its user has unusual characters"
	case strings.Contains(h.Name, ":"):
		if _, err := netip.ParseAddr(h.Name); err != nil || strings.Contains(h.Name, "%") {
			return "its host is not an IP address"
		}
	case !plainWord(h.Name):
		return "its host is empty or has unusual characters"
	}
	return ""
}

// plainWord reports whether s is made of letters, digits, and inner dots, hyphens
// and underscores, so that it is an option of nothing.
func plainWord(s string) bool {
	if s == "" || len(s) > 253 || strings.ContainsRune("-.", rune(s[0])) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := r|0x20 >= 'a' && r|0x20 <= 'z' && r < 0x80
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
	})
}
