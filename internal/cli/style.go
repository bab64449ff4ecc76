package cli

import (
	"regexp"
	"strings"
	"unicode"
)

// color is the parameter of a terminal's SGR sequence.
type color string

// The colours that output uses.
const (
	plain   color = ""
	bold    color = "1"
	dim     color = "2"
	red     color = "31"
	green   color = "32"
	yellow  color = "33"
	blue    color = "34"
	magenta color = "35"
	cyan    color = "36"
)

// style says whether output is coloured.
type style struct{ on bool }

// paint returns text in a colour, where that is wanted.
func (st style) paint(c color, text string) string {
	if !st.on || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// outStyle returns the style of stdout.
func (s *session) outStyle() style {
	return style{on: s.env.OutTerminal && !s.noColor && s.env.Getenv("NO_COLOR") == "" && s.env.Getenv("TERM") != "dumb"}
}

// errStyle returns the style of stderr, which is only coloured along with stdout.
func (s *session) errStyle() style { return s.outStyle() }

// clean makes text from elsewhere harmless on a terminal: other control characters
// than a tab become visible.
func clean(text string) string {
	if !strings.ContainsFunc(text, control) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func control(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar)
}

// colored splits text at sequences that only choose colours.
func colored() *regexp.Regexp { return regexp.MustCompile(`\x1b\[[0-9;]*m`) }

// cleanColored is clean for the lines of apps, which may use colours. It returns
// text with a reset at the end, where it used any.
func cleanColored(text string, colors *regexp.Regexp) string {
	if !strings.ContainsFunc(text, control) {
		return text
	}
	var b strings.Builder
	at := 0
	for _, m := range colors.FindAllStringIndex(text, -1) {
		b.WriteString(clean(text[at:m[0]]))
		b.WriteString(text[m[0]:m[1]])
		at = m[1]
	}
	b.WriteString(clean(text[at:]))
	if at > 0 {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}
