package octo

import (
	"errors"
	"fmt"
)

// The kinds of failure that cross every boundary of octohost. They map to HTTP
// statuses (404, 409, 422, 403, 503, 504) and to exit codes, and the API client
// restores them, so errors.Is works across the wire.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict")
	ErrInvalid     = errors.New("invalid")
	ErrDenied      = errors.New("denied")
	ErrUnavailable = errors.New("unavailable")
	ErrTimeout     = errors.New("timeout")
)

// Error is a failure in words for a person: what was observed, and what to type
// next. It unwraps to its Kind, one of the sentinels above.
type Error struct {
	Kind    error
	Message string // a sentence without a full stop
	Hint    string // what to do next; may be empty
}

// Error returns the message, followed by the hint where there is one.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Errorf makes an *Error of a kind. A hint is added with WithHint.
func Errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// WithHint returns a copy of e that also says what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Kind returns which of the six sentinels err wraps, or nil for a failure that
// has none (an internal one).
func Kind(err error) error {
	for _, k := range []error{ErrNotFound, ErrConflict, ErrInvalid, ErrDenied, ErrUnavailable, ErrTimeout} {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}
