package docker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Inspect returns what the engine knows of a container, by id or name;
// ErrNotFound if there is none.
func (e *Engine) Inspect(ctx context.Context, id string) (engine.Container, error) {
	result, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return engine.Container{}, e.fail(err, "inspect container")
	}
	return containerOf(result.Container), nil
}

// List returns all containers, running or not, that carry these labels with
// exactly these values. Containers that vanish meanwhile are left out.
func (e *Engine) List(ctx context.Context, labels map[string]string) ([]engine.Container, error) {
	all, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter(labels)})
	if err != nil {
		return nil, e.fail(err, "list containers")
	}
	// The list has no exit codes and no process ids: ask for each.
	found := make([]engine.Container, len(all.Items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, c := range all.Items {
		group.Go(func() error {
			var err error
			found[i], err = e.Inspect(ctx, c.ID)
			if errors.Is(err, octo.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := make([]engine.Container, 0, len(found))
	for _, c := range found {
		if c.ID != "" {
			out = append(out, c)
		}
	}
	return out, nil
}

func containerOf(c container.InspectResponse) engine.Container {
	out := engine.Container{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), Image: c.Image}
	if c.Config != nil {
		out.Labels = c.Config.Labels
	}
	if c.State != nil {
		out.State = stateOf(c.State.Status)
		out.ExitCode, out.OOMKilled, out.PID = c.State.ExitCode, c.State.OOMKilled, c.State.Pid
		out.Started, out.Finished = timeOf(c.State.StartedAt), timeOf(c.State.FinishedAt)
		if out.State == engine.StateExited && out.Finished.Before(out.Started) {
			out.Finished = out.Started // the engine notes the start of a short run after its end
		}
	}
	if out.State == engine.StateRunning {
		out.Inside = c.ExecIDs
		if c.NetworkSettings != nil {
			out.Address = addressOf(c.NetworkSettings)
		}
	}
	return out
}

// stateOf maps the engine's words; one that is being removed is as good as dead.
func stateOf(s container.ContainerState) engine.State {
	if s == container.StateRemoving {
		return engine.StateDead
	}
	return engine.State(s)
}

func addressOf(settings *container.NetworkSettings) string {
	for _, n := range settings.Networks {
		if n != nil && n.IPAddress.IsValid() {
			return n.IPAddress.String()
		}
	}
	return ""
}

// timeOf reads the engine's times; what never happened is the zero time.
func timeOf(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
