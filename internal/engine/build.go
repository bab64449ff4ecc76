package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// ErrNoBuildKit says that an engine cannot build with BuildKit by itself. Another
// builder has to do it.
var ErrNoBuildKit = errors.New("the engine has no BuildKit")

// BuildError is a build that failed because of what was to be built: a broken
// Dockerfile, or a step that failed. It is of kind octo.ErrInvalid.
type BuildError struct {
	Step    string // as the builder names it, "[2/4] RUN make"; empty before the first
	Message string // what the builder said
}

// Error returns the step and the builder's own words.
func (e *BuildError) Error() string {
	if e.Step == "" {
		return "build image: " + e.Message
	}
	return fmt.Sprintf("build image: %s: %s", e.Step, e.Message)
}

// Unwrap returns octo.ErrInvalid.
func (e *BuildError) Unwrap() error { return octo.ErrInvalid }

// Cause returns the message of a failed BuildKit build. That a step's program cannot
// be started BuildKit tells in the output of the step, of which last is the last
// line, and message only says that there was an exit code.
func Cause(message, last string) string {
	if strings.HasPrefix(last, "runc run failed: ") {
		return last
	}
	return message
}
