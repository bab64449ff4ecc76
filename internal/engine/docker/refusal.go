package docker

import (
	"bytes"
	"io"
	"strings"

	"github.com/octohost/octohost/internal/engine"
)

// The exit codes of what could not be run, as shells have them.
const (
	exitNoProgram = 126
	exitMissing   = 127
)

// refusalMarks are how the engine and its init begin to say, in the program's own
// output, that there is no such program.
func refusalMarks() []string { return []string{"OCI runtime exec failed", "[FATAL tini "} }

// maxRefusal is how much is read of what they say, in bytes.
const maxRefusal = 4 << 10

// refusal passes a program's output on, except what the engine says in its place. It
// holds back what may still become that.
type refusal struct {
	to   io.Writer
	held []byte
	past bool // the output is the program's own
}

// Write passes p on, or holds it back.
func (r *refusal) Write(p []byte) (int, error) {
	if r.past {
		return r.to.Write(p)
	}
	r.held = append(r.held, p...)
	if r.marked() && len(r.held) < maxRefusal {
		return len(p), nil
	}
	r.past = true
	if _, err := r.to.Write(r.held); err != nil {
		return 0, err
	}
	r.held = nil
	return len(p), nil
}

// marked reports whether what is held is a mark, as far as it goes.
func (r *refusal) marked() bool {
	for _, mark := range refusalMarks() {
		n := min(len(mark), len(r.held))
		if bytes.Equal(r.held[:n], []byte(mark[:n])) {
			return true
		}
	}
	return false
}

// whole reports whether what is held begins with a whole mark.
func (r *refusal) whole() bool {
	for _, mark := range refusalMarks() {
		if bytes.HasPrefix(r.held, []byte(mark)) {
			return true
		}
	}
	return false
}

// flush passes on what only began like a mark.
func (r *refusal) flush() error {
	if r.past || r.whole() || len(r.held) == 0 {
		return nil
	}
	_, err := r.to.Write(r.held)
	r.held = nil
	return err
}

// error returns what was said in place of output, if the exit code agrees. Else it was
// the program's own after all.
func (r *refusal) error(code int) error {
	if !r.whole() {
		return nil
	}
	text := strings.TrimSpace(string(r.held))
	if code != exitNoProgram && code != exitMissing {
		_, err := r.to.Write(r.held)
		r.held = nil
		return err
	}
	missing := strings.Contains(text, "not found") || strings.Contains(strings.ToLower(text), "no such file")
	return &engine.CommandError{Missing: missing, Message: text}
}
