package engine

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxStepLine bounds a line that is held back until its end comes, in bytes.
const maxStepLine = 4 << 10

// Steps prints the progress of a build in the same words whichever builder it is:
// a line per step, and below it, indented, what the step prints.
//
//	[1/3] FROM golang:1.26
//	[2/3] COPY . /src (cached)
//	[3/3] RUN make
//	  cc -o hello hello.c
//
// It takes control characters out: what a build prints ends up on somebody's
// terminal. Errors of the writer are left to the writer, which a build outlives.
type Steps struct {
	w       io.Writer
	current string            // the step whose output comes next
	partial map[string]string // begun lines, by step
}

// NewSteps returns Steps that print to w.
func NewSteps(w io.Writer) *Steps { return &Steps{w: w, partial: map[string]string{}} }

// Begin says that a step has begun.
func (s *Steps) Begin(step string) {
	s.flushCurrent()
	s.current = step
	s.print(clean(step))
}

// Cached says that the result of a step was there already.
func (s *Steps) Cached(step string) {
	s.flushCurrent()
	s.current = ""
	s.print(clean(step) + " (cached)")
}

// Output prints a part of what a step printed, whole lines at a time.
func (s *Steps) Output(step, text string) {
	text = s.partial[step] + text
	for {
		line, rest, whole := strings.Cut(text, "\n")
		if !whole {
			break
		}
		s.line(step, line)
		text = rest
	}
	if len(text) > maxStepLine {
		s.line(step, text)
		text = ""
	}
	s.partial[step] = text
}

// Flush prints the lines that were begun and have not ended.
func (s *Steps) Flush() {
	for _, step := range slices.Sorted(maps.Keys(s.partial)) {
		s.flush(step)
	}
}

func (s *Steps) flushCurrent() { s.flush(s.current) }

func (s *Steps) flush(step string) {
	if rest := s.partial[step]; rest != "" {
		s.line(step, rest)
	}
	delete(s.partial, step)
}

// line prints one line of a step's output, and says first whose it is when steps
// run at the same time.
func (s *Steps) line(step, text string) {
	if step != s.current {
		s.flushCurrent()
		s.current = step
		if step != "" {
			s.print(clean(step) + " (goes on)")
		}
	}
	// A progress bar prints over itself: its last state is what remains.
	text = strings.TrimRight(text, "\r")
	if i := strings.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:]
	}
	s.print("  " + clean(text))
}

func (s *Steps) print(line string) {
	_, _ = fmt.Fprintln(s.w, line) // see Steps: the build goes on without its reader
}

// clean takes escape sequences (ECMA-48 §5.4) and control characters out, and
// makes text valid UTF-8.
func clean(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] == 0x1b {
			i += escapeLen(text[i:])
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			b.WriteRune(r)
		}
		i += n
	}
	return strings.TrimRight(b.String(), " \t")
}

// escapeLen returns the length of the escape sequence that text begins with.
func escapeLen(text string) int {
	if len(text) < 2 || text[1] != '[' {
		return min(2, len(text))
	}
	for i := 2; i < len(text); i++ {
		if text[i] >= 0x40 && text[i] <= 0x7e {
			return i + 1
		}
	}
	return len(text)
}
