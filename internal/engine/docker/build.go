package docker

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
)

// Build makes an image from a tar of the source with the engine's classic
// builder, prints its steps to out as they happen, and returns the image's id. It
// is the only builder of the engine that keeps to the limits of spec. A broken
// Dockerfile or a failing step is an *engine.BuildError. When ctx ends, the build
// ends. source must end with ctx; it may not be read to its end.
func (e *Engine) Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	opts := buildOptions(spec)
	opts.Version = build.BuilderV1
	opts.Memory, opts.MemorySwap = spec.Memory, spec.Memory
	if spec.CPU > 0 {
		opts.CPUPeriod, opts.CPUQuota = cpuPeriod, int64(spec.CPU*cpuPeriod)
	}
	if err := e.scopeCache(ctx, &opts, spec); err != nil {
		return "", err
	}
	c := &classic{steps: engine.NewSteps(out), labels: len(spec.Labels)}
	err := e.runClassic(ctx, opts, source, c)
	if err != nil {
		e.keepCache(ctx, spec, c.leaves(false), cacheFailed)
		return "", buildError(err, c.step)
	}
	e.keepCache(ctx, spec, c.leaves(true), cacheStage)
	return finished(c.id)
}

// runClassic builds while no image is removed.
func (e *Engine) runClassic(ctx context.Context, opts client.ImageBuildOptions, source io.Reader, c *classic) error {
	e.layers.RLock()
	defer e.layers.RUnlock()
	defer c.steps.Flush()
	return e.runBuild(ctx, opts, source, c.take)
}

// cpuPeriod is the kernel's default period of the CPU limit, in microseconds.
const cpuPeriod = 100_000

// buildOptions are what both builders of the engine are asked for.
func buildOptions(spec engine.BuildSpec) client.ImageBuildOptions {
	opts := client.ImageBuildOptions{
		Dockerfile: spec.Dockerfile, Labels: spec.Labels,
		Remove: true, ForceRemove: true, // leave no containers of steps, also not of failed ones
	}
	if spec.Tag != "" {
		opts.Tags = []string{spec.Tag}
	}
	return opts
}

// builderError is what the builder itself said, as opposed to a lost engine.
type builderError string

func (e builderError) Error() string { return string(e) }

// buildMessage is one line of the engine's answer to a build.
type buildMessage struct {
	ID     string          `json:"id"`
	Stream string          `json:"stream"`
	Status string          `json:"status"`
	Error  string          `json:"error"`
	Aux    json.RawMessage `json:"aux"`
}

// runBuild builds and hands each message of the builder to take.
func (e *Engine) runBuild(ctx context.Context, opts client.ImageBuildOptions, source io.Reader, take func(buildMessage) error) error {
	// The client would close a source that can be closed; it is the caller's.
	result, err := e.client.ImageBuild(ctx, io.NopCloser(source), opts)
	switch {
	case err != nil && (ctx.Err() != nil || client.IsErrConnectionFailed(err)):
		return e.fail(err, "build image")
	case err != nil:
		return builderError(message(err))
	}
	defer result.Body.Close() //nolint:errcheck // nothing is written
	messages := json.NewDecoder(result.Body)
	for {
		var m buildMessage
		err := messages.Decode(&m)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("build image: %w", ctx.Err())
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return e.fail(err, "build image")
		case m.Error != "":
			return builderError(m.Error)
		}
		if err := take(m); err != nil {
			return err
		}
	}
}

// buildError adds the step to what the builder said. Other errors stay as they are.
func buildError(err error, step string) error {
	if said, ok := errors.AsType[builderError](err); ok {
		return &engine.BuildError{Step: step, Message: string(said)}
	}
	return err
}

func finished(id string) (string, error) {
	if id == "" {
		return "", errors.New("build image: the engine did not say which image it built")
	}
	return id, nil
}

// classic follows the answer of the classic builder.
type classic struct {
	steps   *engine.Steps
	labels  int    // as many steps in the end are the labels of BuildSpec: nobody wrote them
	step    string // the step under way
	waiting bool   // it is not printed yet: it may turn out to be cached
	hidden  bool
	stages  []string // the last image of each stage so far; empty before its first step
	id      string
}

func (c *classic) take(m buildMessage) error {
	if len(m.Aux) > 0 {
		var aux struct{ ID string }
		if json.Unmarshal(m.Aux, &aux) == nil && aux.ID != "" {
			c.id = aux.ID
		}
	}
	switch {
	case m.Stream != "":
		c.stream(m.Stream)
	case strings.HasPrefix(m.Status, "Pulling from "):
		c.announce()
		c.steps.Output(c.step, "pulling "+strings.TrimPrefix(m.Status, "Pulling from ")+":"+m.ID+"\n")
	}
	return nil
}

func (c *classic) stream(text string) {
	switch {
	case strings.HasPrefix(text, "Step "):
		c.begin(strings.TrimSpace(strings.TrimPrefix(text, "Step ")))
	case strings.HasPrefix(text, " ---> Using cache"):
		if c.waiting && !c.hidden {
			c.steps.Cached(c.step)
		}
		c.waiting = false
	case strings.HasPrefix(text, " ---> "):
		c.announce()
		c.made(strings.TrimSpace(strings.TrimPrefix(text, " ---> ")))
	case strings.HasPrefix(text, "Removing intermediate container "):
		c.announce()
	case text == "\n", strings.HasPrefix(text, "Successfully built "), strings.HasPrefix(text, "Successfully tagged "):
	default:
		c.announce()
		c.steps.Output(c.step, text)
	}
}

// begin takes "2/4 : RUN make".
func (c *classic) begin(text string) {
	c.announce()
	count, instruction, _ := strings.Cut(text, " : ")
	var at, total int
	if n, err := fmt.Sscanf(count, "%d/%d", &at, &total); n != 2 || err != nil {
		return
	}
	total -= c.labels
	c.step, c.waiting, c.hidden = fmt.Sprintf("[%d/%d] %s", at, total, instruction), true, at > total
}

// made takes the short id of the image that a step has made.
func (c *classic) made(id string) {
	_, instruction, _ := strings.Cut(c.step, "] ")
	switch {
	case strings.HasPrefix(strings.ToUpper(instruction), "FROM "):
		c.stages = append(c.stages, "") // that image is somebody else's
	case len(c.stages) > 0 && isHex(id):
		c.stages[len(c.stages)-1] = id
	}
}

// leaves returns the last images of all stages, but for the result itself.
func (c *classic) leaves(done bool) []string {
	stages := c.stages
	if done {
		stages = stages[:max(len(stages)-1, 0)]
	}
	return slices.DeleteFunc(slices.Clone(stages), func(id string) bool { return id == "" })
}

func isHex(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && text != ""
}

func (c *classic) announce() {
	if c.waiting && !c.hidden {
		c.steps.Begin(c.step)
	}
	c.waiting = false
}
