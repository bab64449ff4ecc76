package docker

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// What Start does even if its context has ended is bounded by these.
const (
	createTimeout  = time.Minute
	cleanupTimeout = 10 * time.Second
)

// Start creates a container and starts it. If it cannot be started nothing is
// left of it. ErrConflict says that its name or address is taken, ErrNotFound that
// there is no such image or network, ErrInvalid that the image cannot be run.
func (e *Engine) Start(ctx context.Context, spec engine.Spec) (engine.Container, error) {
	opts, err := createOptions(spec)
	if err != nil {
		return engine.Container{}, err
	}
	return e.start(ctx, spec, opts, func(string) error { return nil })
}

// start creates a container, hands its id to prepare, and starts it. Nothing is left
// when it fails.
func (e *Engine) start(ctx context.Context, spec engine.Spec, opts client.ContainerCreateOptions, prepare func(id string) error) (engine.Container, error) {
	id, err := e.create(ctx, opts)
	if err != nil {
		return engine.Container{}, e.startError(err, spec)
	}
	if err := e.putFiles(ctx, id, spec); err != nil {
		return engine.Container{}, errors.Join(err, e.discard(ctx, id))
	}
	if err := prepare(id); err != nil {
		return engine.Container{}, errors.Join(err, e.discard(ctx, id))
	}
	if _, err := e.client.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return engine.Container{}, errors.Join(e.startError(err, spec), e.discard(ctx, id))
	}
	c, err := e.Inspect(ctx, id)
	if err != nil {
		return engine.Container{}, errors.Join(err, e.discard(ctx, id))
	}
	return c, nil
}

// create is not interrupted when ctx ends: the engine would go on with it, and
// nobody would know the id of what it made.
func (e *Engine) create(ctx context.Context, opts client.ContainerCreateOptions) (id string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	creating, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	made, err := e.client.ContainerCreate(creating, opts)
	return made.ID, err
}

// startError says in plain words what is wrong with the image, where the engine
// has told.
func (e *Engine) startError(err error, spec engine.Spec) error {
	text := err.Error()
	switch {
	case client.IsErrConnectionFailed(err): // which may have been denied, too
	case strings.Contains(text, "No command specified"):
		return octo.Errorf(octo.ErrInvalid, "the image of %s has no command to run", spec.Name).
			WithHint("add a CMD to the Dockerfile, or name the command in a Procfile")
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "permission denied"):
		return octo.Errorf(octo.ErrInvalid, "the command of %s cannot be run: %s", spec.Name, message(err)).
			WithHint("check CMD and ENTRYPOINT in the Dockerfile, and that the file is executable")
	}
	return e.fail(err, "start container %s", spec.Name)
}

// discard removes what a failed start left, even if ctx has ended.
func (e *Engine) discard(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return e.Remove(ctx, id)
}

// Restart starts a container again that has stopped, with the same address. One
// that runs already is left alone.
func (e *Engine) Restart(ctx context.Context, id string) (engine.Container, error) {
	if _, err := e.client.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return engine.Container{}, e.fail(err, "start container")
	}
	return e.Inspect(ctx, id)
}

// Stop asks a container's program to end (SIGTERM, or the STOPSIGNAL of its
// image), waits for grace, rounded up to seconds, and kills it. It returns when
// the container has stopped. One that is gone is no error.
func (e *Engine) Stop(ctx context.Context, id string, grace time.Duration) error {
	seconds := int(math.Ceil(max(grace, 0).Seconds()))
	_, err := e.client.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &seconds})
	if gone(err) {
		return nil
	}
	return e.fail(err, "stop container")
}

// Remove removes a container, running or not, with its anonymous volumes, and
// returns when it is gone. One that is gone already is no error.
func (e *Engine) Remove(ctx context.Context, id string) error {
	_, err := e.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case gone(err):
		return nil
	case errdefs.IsConflict(err) && strings.Contains(err.Error(), "in progress"):
		return e.awaitRemoval(ctx, id)
	}
	return e.fail(err, "remove container")
}

// awaitRemoval waits until a removal that somebody else began has ended.
func (e *Engine) awaitRemoval(ctx context.Context, id string) error {
	wait := e.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: "removed"})
	select {
	case <-wait.Result:
		return nil
	case err := <-wait.Error:
		if gone(err) {
			return nil
		}
		return e.fail(err, "await removal of container")
	}
}
