package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/octo"
)

// fail says what could not be done and why, as one of octohost's kinds of error
// where the engine's answer is one.
func (e *Engine) fail(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", what, err)
	case client.IsErrConnectionFailed(err):
		return e.unavailable(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return octo.Errorf(octo.ErrUnavailable, "%s: the engine ended the connection", what)
	}
	if kind := kindOf(err); kind != nil {
		return octo.Errorf(kind, "%s: %s", what, message(err))
	}
	return fmt.Errorf("%s: %w", what, err)
}

func kindOf(err error) error {
	switch {
	case errdefs.IsNotFound(err):
		return octo.ErrNotFound
	case strings.Contains(err.Error(), "Address already in use"):
		return octo.ErrConflict // the engine has no status of its own for it
	case errdefs.IsConflict(err), errdefs.IsAlreadyExists(err):
		return octo.ErrConflict
	case errdefs.IsInvalidArgument(err):
		return octo.ErrInvalid
	case errdefs.IsUnavailable(err):
		return octo.ErrUnavailable
	}
	return nil
}

// message is what the engine said, without the client's preface.
func message(err error) string {
	return strings.TrimPrefix(err.Error(), "Error response from daemon: ")
}

// unavailable explains to a person why no engine answers, and what to type.
func (e *Engine) unavailable(err error) error {
	if strings.Contains(err.Error(), "permission denied") {
		return octo.Errorf(octo.ErrUnavailable, "this user may not use the Docker Engine at %s", e.address).
			WithHint("add the user that runs octo to the group docker (usermod -aG docker USER) and start octo again")
	}
	oops := octo.Errorf(octo.ErrUnavailable, "no Docker Engine answers at %s", e.address)
	if !strings.HasPrefix(e.address, "unix://") {
		return oops.WithHint("check that address (DOCKER_HOST)")
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		return oops.WithHint("install it with: apt install docker.io")
	}
	return oops.WithHint("start it with: systemctl start docker")
}

// gone reports whether err says that the thing is not there, which is what a
// removal wanted.
func gone(err error) bool { return errdefs.IsNotFound(err) }
