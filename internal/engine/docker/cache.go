package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
)

// The values of engine.LabelCache: a stage of a build that went well, and how far one
// got that failed.
const (
	cacheStage  = "stage"
	cacheFailed = "failed"
)

// keepCache makes the images that the classic builder leaves besides its result
// known as the app's: the stages that were only copied from, and as far as a failed
// build got. They make the next build faster, but the builder gives them no labels
// and never removes them, so they would pile up unseen. What was kept of the kind
// before goes, as far as it is not the same.
//
// Nothing depends on it, so it has no error: what goes wrong here costs disk, and
// the next build tries again.
func (e *Engine) keepCache(ctx context.Context, spec engine.BuildSpec, leaves []string, kind string) {
	if len(leaves) == 0 || spec.Labels[engine.LabelHost] == "" {
		return // nothing, or nobody could tell whose it is
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	labels := map[string]string{engine.LabelHost: spec.Labels[engine.LabelHost]}
	if app := spec.Labels[engine.LabelApp]; app != "" {
		labels[engine.LabelApp] = app
	}
	before, err := e.Images(ctx, labels)
	if err != nil {
		return
	}
	labels[engine.LabelCache] = kind
	kept := make([]string, 0, len(leaves))
	for _, leaf := range leaves {
		if id, err := e.label(ctx, leaf, labels); err == nil {
			kept = append(kept, id)
		}
	}
	for _, image := range before {
		was := image.Labels[engine.LabelCache]
		if was != "" && (was == kind || kind == cacheStage) && !slices.Contains(kept, image.ID) {
			_ = e.RemoveImage(ctx, image.ID) // see above
		}
	}
}

// scopeCache lets the classic builder use again only what the app's own images were
// made from. It would take a step of whoever had the same before.
func (e *Engine) scopeCache(ctx context.Context, opts *client.ImageBuildOptions, spec engine.BuildSpec) error {
	if spec.Scope == "" {
		return nil
	}
	own, err := e.Images(ctx, map[string]string{
		engine.LabelHost: spec.Labels[engine.LabelHost], engine.LabelApp: spec.Labels[engine.LabelApp],
	})
	if err != nil {
		return err
	}
	for _, image := range own {
		opts.CacheFrom = append(opts.CacheFrom, image.ID)
	}
	opts.NoCache = len(own) == 0
	return nil
}

// label makes an image that is the same as another but for its labels.
func (e *Engine) label(ctx context.Context, id string, labels map[string]string) (string, error) {
	c := &classic{steps: engine.NewSteps(io.Discard)}
	opts := buildOptions(engine.BuildSpec{Dockerfile: "Dockerfile", Labels: labels})
	opts.Version = build.BuilderV1
	err := e.runClassic(ctx, opts, bytes.NewReader(fileTar([]engine.File{{Path: "Dockerfile", Content: []byte("FROM " + id + "\n")}})), c)
	return c.id, err
}

// PruneBuildCache removes what BuildKit has not used for longest, until its cache is
// at most keep bytes, and returns how much it gained. The cache belongs to the
// engine: it is not only octohost's, and it can always be made again.
func (e *Engine) PruneBuildCache(ctx context.Context, keep int64) (int64, error) {
	result, err := e.client.BuildCachePrune(ctx, client.BuildCachePruneOptions{All: true, ReservedSpace: max(keep, 1), MaxUsedSpace: max(keep, 1)})
	if err != nil {
		return 0, e.fail(err, "prune build cache")
	}
	if result.Report.SpaceReclaimed > 1<<62 {
		return 0, fmt.Errorf("prune build cache: it says that it gained %d bytes", result.Report.SpaceReclaimed)
	}
	return int64(result.Report.SpaceReclaimed), nil //nolint:gosec // checked
}

// BuildCacheSize returns how many bytes BuildKit's cache has. It may take seconds, for
// older engines look at everything that they have.
func (e *Engine) BuildCacheSize(ctx context.Context) (int64, error) {
	usage, err := e.client.DiskUsage(ctx, client.DiskUsageOptions{BuildCache: true})
	if err != nil {
		return 0, e.fail(err, "look at build cache")
	}
	return usage.BuildCache.TotalSize, nil
}
