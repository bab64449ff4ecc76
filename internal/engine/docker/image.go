package docker

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Image returns an image by id or tag; ErrNotFound if the engine has none.
func (e *Engine) Image(ctx context.Context, ref string) (engine.Image, error) {
	result, err := e.client.ImageInspect(ctx, ref)
	if err != nil {
		return engine.Image{}, e.fail(err, "inspect image %s", ref)
	}
	out := engine.Image{ID: result.ID, Tags: result.RepoTags, Size: result.Size, Created: timeOf(result.Created)}
	if c := result.Config; c != nil {
		out.Labels, out.Env, out.Entrypoint, out.Command = c.Labels, c.Env, c.Entrypoint, c.Cmd
		out.Ports = portsOf(c.ExposedPorts)
		if h := c.Healthcheck; h != nil && len(h.Test) > 1 && h.Test[0] != "NONE" {
			out.Health = &engine.Healthcheck{
				Command: healthCommand(h.Test, c.Shell), Interval: h.Interval,
				Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
			}
		}
	}
	return out, nil
}

// healthCommand returns the argv of a HEALTHCHECK. A command in one string is run by
// the image's SHELL, or that of Linux.
func healthCommand(test, shell []string) []string {
	if test[0] != "CMD-SHELL" {
		return test[1:]
	}
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(shell), test[1])
}

// portsOf returns the TCP ports of EXPOSE, ascending.
func portsOf(exposed map[string]struct{}) []int {
	var ports []int
	for text := range exposed {
		number, protocol, _ := strings.Cut(text, "/")
		port, err := strconv.Atoi(number)
		if err == nil && (protocol == "" || protocol == "tcp") {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

// Images returns all images that carry these labels, without what only Image
// tells: ports, environment and command.
func (e *Engine) Images(ctx context.Context, labels map[string]string) ([]engine.Image, error) {
	result, err := e.client.ImageList(ctx, client.ImageListOptions{Filters: filter(labels)})
	if err != nil {
		return nil, e.fail(err, "list images")
	}
	out := make([]engine.Image, 0, len(result.Items))
	for _, i := range result.Items {
		out = append(out, engine.Image{
			ID: i.ID, Labels: i.Labels, Created: time.Unix(i.Created, 0), Size: i.Size,
			Tags: slices.DeleteFunc(i.RepoTags, func(tag string) bool { return tag == "<none>:<none>" }),
		})
	}
	return out, nil
}

// Tag gives an image one more name:tag; one that had it loses it.
func (e *Engine) Tag(ctx context.Context, id, tag string) error {
	_, err := e.client.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: tag})
	return e.fail(err, "tag image %s", tag)
}

// RemoveImage removes a tag, or an image by id with all its tags, and the layers
// that nothing else needs. One that is gone is no error; one that a container
// uses is ErrConflict, and so is any while a classic build is under way.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	if !e.layers.TryLock() {
		return octo.Errorf(octo.ErrConflict, "remove image %s: a build may be using a part of it", ref)
	}
	defer e.layers.Unlock()
	image, err := e.Image(ctx, ref)
	if err == nil && image.ID == ref && len(image.Tags) > 1 {
		// The engine refuses an id with several tags, unless it is forced, and
		// force takes it away from stopped containers too.
		return e.removeTags(ctx, image)
	}
	return e.removeImage(ctx, ref)
}

func (e *Engine) removeTags(ctx context.Context, image engine.Image) error {
	// Look before the first tag is gone: all or nothing.
	users, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Limit: 1, Filters: client.Filters{}.Add("ancestor", image.ID)})
	if err != nil {
		return e.fail(err, "list containers of image")
	}
	if len(users.Items) > 0 {
		return octo.Errorf(octo.ErrConflict, "remove image %s: container %s uses it", image.ID, users.Items[0].ID)
	}
	for _, tag := range image.Tags {
		if err := e.removeImage(ctx, tag); err != nil {
			return err
		}
	}
	return e.removeImage(ctx, image.ID) // gone with its last tag, as a rule
}

func (e *Engine) removeImage(ctx context.Context, ref string) error {
	_, err := e.client.ImageRemove(ctx, ref, client.ImageRemoveOptions{PruneChildren: true})
	if gone(err) {
		return nil
	}
	return e.fail(err, "remove image %s", ref)
}
