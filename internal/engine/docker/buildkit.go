package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/moby/moby/api/types/build"

	"github.com/octohost/octohost/internal/engine"
)

// BuildKit makes an image like Build does, with the BuildKit that the engine has
// built in: no other program is needed, and it is the fastest way. It cannot limit
// the steps: Memory and CPU of spec are not used. engine.ErrNoBuildKit says that
// this engine has none; then source is untouched.
func (e *Engine) BuildKit(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	session, err := e.openSession(ctx, spec.Secrets)
	if err != nil {
		return "", err
	}
	defer session.Close()
	opts := buildOptions(spec)
	opts.Version, opts.SessionID = build.BuilderBuildKit, session.id
	if spec.Scope != "" {
		opts.ExtraHosts = []string{engine.ScopeHost(spec.Scope)}
		opts.BuildArgs = map[string]*string{engine.ScopeArg: &spec.Scope}
	}
	b := &buildkit{steps: engine.NewSteps(out), vertices: map[string]*vertex{}}
	if err := e.runBuild(ctx, opts, source, b.take); err != nil {
		b.steps.Flush()
		if said, ok := errors.AsType[builderError](err); ok {
			err = builderError(engine.Cause(string(said), b.last))
		}
		return "", buildError(err, b.failed)
	}
	b.steps.Flush()
	return finished(b.id)
}

// buildkit follows the answer of BuildKit.
type buildkit struct {
	steps    *engine.Steps
	vertices map[string]*vertex // by digest
	last     string             // what was printed last
	failed   string             // the step that failed
	id       string
}

// vertex is a step that has been heard of.
type vertex struct {
	name  string
	begun bool // printed
	ended bool
}

func (b *buildkit) take(m buildMessage) error {
	switch m.ID {
	case "moby.image.id":
		var aux struct{ ID string }
		if err := json.Unmarshal(m.Aux, &aux); err != nil {
			return err
		}
		b.id = aux.ID
	case "moby.buildkit.trace":
		var text string
		if err := json.Unmarshal(m.Aux, &text); err != nil {
			return err
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		return b.trace(data)
	}
	return nil
}

func (b *buildkit) trace(data []byte) error {
	status, err := parseStatus(data)
	if err != nil {
		return err
	}
	for _, v := range status.vertices {
		b.vertex(v)
	}
	for _, l := range status.logs {
		if v := b.vertices[l.vertex]; v != nil {
			b.steps.Output(v.name, l.text)
			b.last = strings.TrimSpace(l.text)
		}
	}
	return nil
}

func (b *buildkit) vertex(now traceVertex) {
	v := b.vertices[now.digest]
	if v == nil {
		v = &vertex{name: stepName(now.name)}
		b.vertices[now.digest] = v
	}
	if now.failure != "" && !strings.Contains(now.failure, "context canceled") {
		b.failed = v.name // those that were cancelled because of it come too
	}
	shown := v.name != "" && !v.ended
	switch {
	case shown && now.cached:
		b.steps.Cached(v.name)
	case shown && now.started && !v.begun:
		b.steps.Begin(v.name)
	}
	v.begun = v.begun || now.started
	v.ended = v.ended || now.cached || now.ended
}

// stepName returns how a step of BuildKit is shown; empty for its inner workings.
func stepName(name string) string {
	if image, ok := strings.CutPrefix(name, "[internal] load metadata for "); ok {
		return "looking up " + image
	}
	if strings.HasPrefix(name, "[internal]") || name == "copy /context /" || name == "exporting to image" {
		return ""
	}
	return name
}

// errTrace says that a progress message is not what it should be.
var errTrace = errors.New("build image: the engine's report of the build cannot be read")
