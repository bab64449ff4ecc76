package manifest

import (
	"slices"
	"strings"
)

// CNAME is the file in which a repository says under which names its site is to be
// reached.
const CNAME = "CNAME"

// maxNames is how many names of a CNAME file are looked at, and maxNameLine how much of a
// line, in bytes: more than the longest name has.
const (
	maxNames    = 100
	maxNameLine = 300
)

// ParseCNAME reads a CNAME file: a name on each line, and comments behind a #. Names are
// returned as they are written, whether or not they are any; left is how many there are
// beyond the most.
func ParseCNAME(text []byte) (names []string, left int) {
	names = []string{}
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		name, _, _ := strings.Cut(line, "#")
		name = strings.ToValidUTF8(strings.TrimSpace(name), "\ufffd")
		if len(name) > maxNameLine {
			name = strings.ToValidUTF8(name[:maxNameLine], "")
		}
		switch {
		case name == "" || slices.Contains(names, name):
		case len(names) == maxNames:
			left++
		default:
			names = append(names, name)
		}
	}
	return names, left
}
