// Package hostname knows the one normal form that a host name has, however it was
// written: lower case, ASCII, without port and final dot. A name may begin with "*.",
// which stands for exactly one label.
package hostname

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/octohost/octohost/internal/octo"
)

// wild is what a name begins with that stands for many.
const wild = "*."

// longest is how much text is looked at, in bytes. No name in Unicode is longer whose
// form in ASCII is short enough (RFC 1035 §2.3.4).
const longest = 1024

// Parse returns the normal form of a name that an app can have. The error, of kind
// octo.ErrInvalid, says why it cannot have this one: it is no name, an address, a name
// without a dot, or one under which strangers have theirs, such as co.uk.
func Parse(s string) (string, error) {
	text, isWild := strings.CutPrefix(strings.TrimSpace(s), wild)
	if err := bare(s, text); err != nil {
		return "", err
	}
	host, err := ascii(text)
	if err != nil {
		return "", refuse(s, "%v", err)
	}
	if err := publicly(s, host, isWild); err != nil {
		return "", err
	}
	if !isWild {
		return host, nil
	}
	if len(wild)+len(host) > maxName {
		return "", refuse(s, "it is too long")
	}
	return wild + host, nil
}

// maxName is the longest name of the DNS, in bytes without the final dot.
const maxName = 253

// bare makes sure that text is a name, and not more than that.
func bare(given, text string) error {
	switch {
	case text == "":
		return refuse(given, "it is empty")
	case len(text) > longest:
		return refuse(given, "it is too long")
	case !utf8.ValidString(text):
		return refuse(given, "it is not UTF-8")
	case isAddress(text):
		return refuse(given, "it is an address").WithHint("name the app by a host name, such as www.example.com")
	case strings.Contains(text, "*"):
		return refuse(given, "only the whole first part can be a *").WithHint("for example *.example.com")
	}
	if i := strings.IndexAny(text, ":/@?#"); i >= 0 {
		return refuse(given, "it contains %q", text[i]).WithHint("give the host name alone, such as www.example.com")
	}
	return nil
}

// refuse returns the error about a name.
func refuse(given, format string, args ...any) *octo.Error {
	const most = 80
	if len(given) > most {
		given = strings.ToValidUTF8(given[:most], "") + "…"
	}
	return octo.Errorf(octo.ErrInvalid, "%s cannot be the name of a site: "+format, append([]any{strconv.Quote(given)}, args...)...).
		WithHint("use a host name such as www.example.com, or *.example.com")
}

// ascii returns a name as the DNS has it. What browsers take is taken, and made of it
// what browsers make of it (UTS #46, nontransitional), except for underscores.
func ascii(text string) (string, error) {
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.CheckHyphens(false), idna.Transitional(false))
	host, err := profile.ToASCII(text)
	host = strings.TrimSuffix(host, ".")
	if err != nil {
		return "", errors.New("it contains what no host name may contain")
	}
	if len(host) > maxName {
		return "", errors.New("it is too long")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return "", errors.New("a part between two dots is empty")
		case len(label) > 63:
			return "", errors.New("a part of it has more than 63 characters")
		case label[0] == '-' || label[len(label)-1] == '-':
			return "", errors.New("a part of it begins or ends with a hyphen")
		}
	}
	if isNumber(labels[len(labels)-1]) {
		return "", errors.New("browsers take it for an address")
	}
	return host, nil
}

// isAddress reports whether text is an IP address, also with brackets or a port.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(strings.Trim(text, "[]"))
	_, withPort := netip.ParseAddrPort(text)
	return err == nil || withPort == nil
}

// isNumber reports whether a last label makes browsers read the whole as an IPv4
// address (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func isNumber(label string) bool {
	hex, isHex := strings.CutPrefix(label, "0x")
	digits := "0123456789"
	if isHex {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// publicly refuses names that are nobody's own.
func publicly(given, host string, isWild bool) error {
	if !strings.Contains(host, ".") {
		return refuse(given, "it has no dot")
	}
	suffix, icann := publicsuffix.PublicSuffix(host)
	if host == suffix && (icann || isWild) {
		return refuse(given, "strangers have names below %s", suffix).WithHint("use a name that was registered below it, such as example.%s", suffix)
	}
	return nil
}

// IsWild reports whether a name in normal form stands for many.
func IsWild(host string) bool { return strings.HasPrefix(host, wild) }

// Base returns a name in normal form without "*.".
func Base(host string) string { return strings.TrimPrefix(host, wild) }

// Within reports whether a name in normal form is base or below it. It compares whole
// labels.
func Within(host, base string) bool {
	host = Base(host)
	return host == base || strings.HasSuffix(host, "."+base)
}

// Guards returns the names with "*." that keep host for their owner: those of host
// itself and of all names above it.
func Guards(host string) []string {
	var all []string
	for base := Base(host); ; {
		all = append(all, wild+base)
		_, above, ok := strings.Cut(base, ".")
		if !ok {
			return all
		}
		base = above
	}
}

// Matches reports whether requests for host belong to name: they are the same, or
// name stands for many and host is one of them. Both are in normal form.
func Matches(name, host string) bool {
	if !IsWild(name) {
		return name == host
	}
	_, parent, ok := strings.Cut(host, ".")
	return ok && parent == Base(name)
}

// Unicode returns a name in normal form as people read it.
func Unicode(host string) string {
	text, err := idna.New(idna.BidiRule(), idna.CheckHyphens(false)).ToUnicode(Base(host))
	if err != nil {
		return host
	}
	return strings.TrimSuffix(host, Base(host)) + text
}
