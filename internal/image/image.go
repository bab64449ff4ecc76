// Package image turns the tar of a source into an image, with the builder that
// suits its Dockerfile, a few at a time.
//
// Three builders are known. The engine's own BuildKit is the fastest and needs no
// other program. The engine's classic builder is the only one of the three that
// keeps RUN steps to limits of memory and CPU on every engine. docker buildx is for
// those who have set it up themselves: remote builders, credentials, secrets.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Engine builds by itself.
type Engine interface {
	// Build builds with the classic builder, within the limits of spec.
	Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error)
	// BuildKit builds with the engine's own BuildKit, without limits. If it has none,
	// it returns engine.ErrNoBuildKit and has not touched source.
	BuildKit(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error)
}

// Preference is which builder the operator wants.
type Preference string

// The preferences.
const (
	// Auto takes BuildKit where a Dockerfile needs it or has no RUN step; else limits
	// have to be kept, which the classic builder does.
	Auto Preference = "auto"
	// BuildKit is taken whether limits can be kept or not.
	BuildKit Preference = "buildkit"
	// Classic is taken even where a Dockerfile says that it needs more.
	Classic Preference = "classic"
)

// Config is what a Builder needs. The zero values of all but Engine make sense.
type Config struct {
	Engine  Engine
	Address string     // the engine's, for buildx; empty means DOCKER_HOST or Docker's own
	Prefer  Preference // empty means Auto
	Slots   int        // builds at a time; 0 means 1

	// Buildx is the command that stands in front of "build", such as
	// "docker buildx". If it is named, it builds all that BuildKit should. Empty means
	// that it is looked for where only it will do.
	Buildx []string
	// CgroupParent is where the steps of builds by buildx run, and are limited, by
	// engines that support it (23.0).
	CgroupParent string

	Log *slog.Logger // nil means to be silent
}

// Builder builds images.
type Builder struct {
	Config
	queue  *queue
	buildx func(context.Context) []string // found once; empty if there is none
}

// New returns a Builder.
func New(cfg Config) *Builder {
	if cfg.Prefer == "" {
		cfg.Prefer = Auto
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Builder{Config: cfg, queue: newQueue(max(cfg.Slots, 1))}
	b.buildx = findOnce(cfg.Buildx)
	return b
}

// Build makes an image from a tar, of which it leaves out what .dockerignore says,
// and returns the image's id. It prints to out: how many builds are ahead, then the
// steps. When ctx ends, the build ends; source must end with it. If the build fails,
// source may not have been read to its end.
//
// What is wrong with the source is octo.ErrInvalid, in words for the person who
// pushed it; what is wrong with this machine or a registry is octo.ErrUnavailable.
func (b *Builder) Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	leave, err := b.queue.enter(ctx, func(ahead int) { sayAhead(out, ahead) })
	if err != nil {
		return "", fmt.Errorf("wait for other builds: %w", err)
	}
	defer leave()
	head, err := readHead(source, spec.Dockerfile)
	if err != nil {
		return "", err
	}
	defer head.close()
	spec.Dockerfile = head.dockerfile
	id, err := b.pumped(ctx, spec, head, out)
	if err != nil {
		return "", explain(err)
	}
	return id, nil
}

func sayAhead(out io.Writer, ahead int) {
	noun := "builds"
	if ahead == 1 {
		noun = "build"
	}
	_, _ = fmt.Fprintf(out, "waiting for %d %s ahead\n", ahead, noun) // a build goes on without its reader
}

// pumped builds while another goroutine writes the context.
func (b *Builder) pumped(ctx context.Context, spec engine.BuildSpec, head *head, out io.Writer) (string, error) {
	read, write := io.Pipe()
	var pump sync.WaitGroup
	var pumpErr error
	pump.Go(func() {
		pumpErr = head.copyTo(write)
		_ = write.CloseWithError(pumpErr) // never fails
	})
	id, err := b.build(ctx, spec, head.features, read, out)
	_ = read.Close() // never fails; ends the pump
	pump.Wait()
	if pumpErr != nil && !errors.Is(pumpErr, io.ErrClosedPipe) && ctx.Err() == nil {
		return "", fmt.Errorf("read source: %w", pumpErr)
	}
	return id, err
}

// build chooses a builder and builds.
func (b *Builder) build(ctx context.Context, spec engine.BuildSpec, f features, source io.Reader, out io.Writer) (string, error) {
	limited := spec.Memory > 0 || spec.CPU > 0
	secrets := len(spec.Secrets) > 0
	if f.buildKit = f.buildKit || secrets; secrets && b.Prefer == Classic {
		return "", noSecrets("this octohost builds without it")
	}
	if !wantsBuildKit(b.Prefer, f, limited && b.CgroupParent == "") {
		b.Log.Debug("building", "builder", "classic", "tag", spec.Tag)
		return b.Engine.Build(ctx, spec, source, out)
	}
	if len(b.Buildx) > 0 || limited && f.runs && b.CgroupParent != "" && len(b.buildx(ctx)) > 0 {
		return b.runBuildx(ctx, spec, source, out)
	}
	b.Log.Debug("building", "builder", "buildkit", "tag", spec.Tag)
	id, err := b.Engine.BuildKit(ctx, spec, source, out)
	switch {
	case !errors.Is(err, engine.ErrNoBuildKit):
		return id, err
	case len(b.buildx(ctx)) > 0:
		return b.runBuildx(ctx, spec, source, out)
	case secrets:
		return "", noSecrets("the engine of this octohost has none")
	}
	b.Log.Debug("building", "builder", "classic", "tag", spec.Tag)
	return b.Engine.Build(ctx, spec, source, out)
}

// wantsBuildKit chooses; limits says that there are some that only the classic
// builder keeps.
func wantsBuildKit(prefer Preference, f features, limits bool) bool {
	switch {
	case prefer == BuildKit:
		return true
	case prefer == Classic:
		return false
	}
	return f.buildKit || !f.runs || !limits
}

// NoCommand is the failure of an image that does not say what to run. Start would
// refuse it too, but later.
func NoCommand() error {
	return octo.Errorf(octo.ErrInvalid, "the image does not say what to run").
		WithHint("add a CMD to the Dockerfile, or a Procfile with a line such as: web: ./server")
}
