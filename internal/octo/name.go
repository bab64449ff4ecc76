package octo

import (
	"fmt"
	"strings"
)

// MaxName is the longest name of an app or process, in bytes. With a release and
// an ordinal behind it an instance's name still fits a DNS label.
const MaxName = 39

// Name is the name of an app or a process: a lower-case letter followed by up to
// 38 lower-case letters, digits and inner hyphens. ParseName is the only way from
// text to a Name, and names are compared whole, never by prefix.
type Name string

// ParseName checks s and returns it as a Name; the error is of kind ErrInvalid
// and says which rule is broken.
func ParseName(s string) (Name, error) {
	if why := badName(s); why != "" {
		return "", Errorf(ErrInvalid, "%s is not a valid name: %s", quoteShort(s), why).
			WithHint("use a letter, then letters, digits or hyphens, all lower case, at most %d characters (for example my-site)", MaxName)
	}
	return Name(s), nil
}

func badName(s string) string {
	switch {
	case s == "":
		return "it is empty"
	case len(s) > MaxName:
		return fmt.Sprintf("it has %d characters", len(s))
	case s[0] < 'a' || s[0] > 'z':
		return "it must start with a lower-case letter"
	case s[len(s)-1] == '-':
		return "it ends with a hyphen"
	}
	for _, r := range s {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return fmt.Sprintf("it contains %q", r)
		}
	}
	return ""
}

// quoteShort quotes s for a message, without control characters and bounded.
func quoteShort(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:most], ""))
	}
	return fmt.Sprintf("%q", s)
}
