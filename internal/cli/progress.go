package cli

import (
	"io"
	"strings"
)

// progressWriter returns a writer for what octohost says while it works. It goes to
// stderr; what a terminal must not see is made visible.
func (s *session) progressWriter() io.Writer { return lineCleaner{s.env.Err} }

// lineCleaner cleans what it writes, line by line.
type lineCleaner struct{ w io.Writer }

// Write writes p. A reader of progress that is gone is no reason to stop.
func (c lineCleaner) Write(p []byte) (int, error) {
	lines := strings.Split(string(p), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	_, _ = io.WriteString(c.w, strings.Join(lines, "\n")) // progress is for whoever looks
	return len(p), nil
}
