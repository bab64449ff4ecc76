package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/octohost/octohost/internal/octo"
)

// wireError is an error as it travels.
type wireError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// kindInternal is the kind of failures that say nothing outside; the log does.
const kindInternal = "internal"

// errorKind pairs a kind of failure with its name on the wire and its status.
type errorKind struct {
	kind   error
	name   string
	status int
}

// errorKinds is the only place that maps kinds to statuses.
func errorKinds() []errorKind {
	return []errorKind{
		{octo.ErrNotFound, "not_found", http.StatusNotFound},
		{octo.ErrConflict, "conflict", http.StatusConflict},
		{octo.ErrInvalid, "invalid", http.StatusUnprocessableEntity},
		{octo.ErrDenied, "denied", http.StatusForbidden},
		{octo.ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
		{octo.ErrTimeout, "timeout", http.StatusGatewayTimeout},
	}
}

// toWire describes err to the other side. The second result is its HTTP status;
// 500 means that err has no kind, and that nothing of it may be told.
func toWire(err error) (wireError, int) {
	if errors.Is(err, context.DeadlineExceeded) && octo.Kind(err) == nil {
		err = octo.Errorf(octo.ErrTimeout, "this took too long and was given up")
	}
	if errors.Is(err, context.Canceled) && octo.Kind(err) == nil {
		err = octo.Errorf(octo.ErrUnavailable, "octohost is stopping").WithHint("try again in a moment")
	}
	kind := octo.Kind(err)
	for _, k := range errorKinds() {
		if kind != k.kind {
			continue
		}
		wire := wireError{Kind: k.name, Message: err.Error()}
		var told *octo.Error
		if errors.As(err, &told) {
			wire.Message, wire.Hint = told.Message, told.Hint
		}
		return wire, k.status
	}
	return wireError{Kind: kindInternal, Message: "internal error"}, http.StatusInternalServerError
}

// restore returns the error that wire describes, so that errors.Is finds its kind.
func (wire wireError) restore() error {
	out := &octo.Error{Message: wire.Message, Hint: wire.Hint}
	for _, k := range errorKinds() {
		if wire.Kind == k.name {
			out.Kind = k.kind
		}
	}
	if out.Message == "" {
		out.Message = "the request failed without a reason"
	}
	return out
}

// readError returns the error in an answer whose status is not a success.
func readError(resp *http.Response) error {
	var wire wireError
	err := json.NewDecoder(io.LimitReader(resp.Body, maxError)).Decode(&wire)
	if err != nil || wire.Kind == "" {
		return fmt.Errorf("the other side is not octohost: it answered %q", resp.Status)
	}
	return wire.restore()
}

// maxError is the most that is read of an error, in bytes.
const maxError = 1 << 20
