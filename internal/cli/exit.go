package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/octohost/octohost/internal/octo"
)

// The exit codes of every command.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitInterrupted = 130
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// usage returns a usageError with advice.
func usage(hint, format string, args ...any) error {
	return usageError{octo.Errorf(octo.ErrInvalid, format, args...).WithHint("%s", hint)}
}

// Unwrap returns the words of the error.
func (e usageError) Unwrap() error { return e.error }

// exitError ends with a code after everything has been said.
type exitError int

// Error names the code.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report tells the person what went wrong and returns the exit code.
func (s *session) report(err error) int {
	var said exitError
	if errors.As(err, &said) {
		return int(said)
	}
	if errors.Is(err, errReaderGone) {
		return exitOK
	}
	s.explain(err)
	return exitCode(err)
}

// explain tells the person what went wrong.
func (s *session) explain(err error) {
	message, hint := err.Error(), ""
	var told *octo.Error
	if errors.As(err, &told) {
		message, hint = told.Message, told.Hint
	}
	st := s.errStyle()
	// If stderr is gone there is nobody left to tell.
	_, _ = fmt.Fprintf(s.env.Err, "%s %s\n", st.paint(red, "error:"), clean(message))
	if hint != "" {
		_, _ = fmt.Fprintf(s.env.Err, "%s  %s\n", st.paint(bold, "hint:"), clean(hint))
	}
}

// exitCode returns the code for an error.
func exitCode(err error) int {
	var wrong usageError
	switch {
	case errors.As(err, &wrong):
		return exitUsage
	case errors.Is(err, octo.ErrNotFound):
		return exitNotFound
	case errors.Is(err, octo.ErrDenied):
		return exitDenied
	}
	return exitFailed
}

// readerGone reports whether a failed write means that nobody reads any more. An SSH
// channel says so with io.EOF.
func readerGone(err error) bool {
	for _, gone := range []error{syscall.EPIPE, io.ErrClosedPipe, io.EOF, net.ErrClosed, os.ErrClosed} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
