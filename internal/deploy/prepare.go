package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
)

// prepare builds the image of a commit, and works out the release that it makes. What
// settings does with that comes before the build: what is missing is said at once.
func (d *Deployer) prepare(ctx context.Context, p *printer, push octo.Push, settings func(manifest.Said, *octo.Release) error) (octo.Release, error) {
	r := octo.Release{
		App: push.App, Commit: push.New, Branch: push.Branch,
		Author: push.User, Description: "Deploy " + short(push.New),
	}
	if err := d.Room(); err != nil {
		return r, err
	}
	said, err := d.inspect(ctx, push)
	if err != nil {
		return r, err
	}
	if err := settings(said, &r); err != nil {
		return r, err
	}
	image, err := d.build(ctx, p, push, said.Manifest, r.Config)
	if err != nil {
		return r, err
	}
	processes, notes, err := manifest.Processes(said, facts(image))
	if err != nil {
		return r, err
	}
	r.Image, r.Declared, r.Tasks = image.ID, processes, said.Tasks()
	for _, n := range append(notes, idle(r)...) {
		p.detail("%s", n)
	}
	return r, nil
}

// facts is what a repository is understood by of its image.
func facts(image engine.Image) manifest.ImageFacts {
	f := manifest.ImageFacts{
		Ports: image.Ports, Env: image.Env,
		HasCommand: len(image.Command)+len(image.Entrypoint) > 0,
	}
	if image.Health != nil {
		h := manifest.Healthcheck(*image.Health)
		f.Health = &h
	}
	return f
}

// idle says which processes of a release are not started, where nobody has said that
// they should not be.
func idle(r octo.Release) []string {
	var notes []string
	for _, p := range r.Settings.Over(r.Declared) {
		if p.Count == 0 && r.Formation[p.Name].Count == nil && !r.Formation[p.Name].Stopped {
			notes = append(notes, fmt.Sprintf("%s is not started. To start it: octo ps:scale %s=1 -a %s", p.Name, p.Name, r.App))
		}
	}
	return notes
}

// inspect reads what the repository says about itself, and refuses what cannot be
// built.
func (d *Deployer) inspect(ctx context.Context, push octo.Push) (manifest.Said, error) {
	files, err := d.Source.Files(ctx, push.App, push.New, manifest.Name, "Procfile", manifest.AppJSONName, "Dockerfile")
	if err != nil {
		return manifest.Said{}, fmt.Errorf("read commit %s: %w", short(push.New), err)
	}
	said, err := manifest.Read(files)
	if err != nil {
		return said, err
	}
	subs, err := d.Source.Submodules(ctx, push.App, push.New)
	if err != nil {
		return said, fmt.Errorf("look for submodules: %w", err)
	}
	if len(subs) > 0 {
		return said, octo.Errorf(octo.ErrInvalid, "this repository has submodules (%s), which a push does not contain", strings.Join(subs, ", ")).
			WithHint("commit their files (git subtree), or fetch them in the Dockerfile")
	}
	return said, d.checkDockerfile(ctx, push, said.Manifest, files)
}

func (d *Deployer) checkDockerfile(ctx context.Context, push octo.Push, m manifest.Manifest, files map[string][]byte) error {
	path := m.Dockerfile()
	_, ok := files[path]
	if !ok && path != "Dockerfile" {
		found, err := d.Source.Files(ctx, push.App, push.New, path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		_, ok = found[path]
	}
	if !ok {
		return octo.Errorf(octo.ErrInvalid, "commit %s has no %s", short(push.New), path).
			WithHint("add a Dockerfile at the root of the repository, or name it in octohost.toml: [build] dockerfile = \"path\"; then commit and push again")
	}
	return nil
}

// rebuild builds the image of an old release again, from its commit.
func (d *Deployer) rebuild(ctx context.Context, p *printer, r octo.Release) (string, error) {
	if err := d.Room(); err != nil {
		return "", err
	}
	p.detail("Its image is no longer kept: building its commit again")
	push := octo.Push{App: r.App, Branch: r.Branch, New: r.Commit}
	said, err := d.inspect(ctx, push)
	if err != nil {
		return "", fmt.Errorf("build %s again: %w", r.Version(), err)
	}
	image, err := d.build(ctx, p, push, said.Manifest, r.Config)
	return image.ID, err
}

// build builds the commit's image, with the build secrets of a configuration, and looks
// at it.
func (d *Deployer) build(ctx context.Context, p *printer, push octo.Push, m manifest.Manifest, config int) (engine.Image, error) {
	spec, err := d.buildSpec(ctx, push, m, config)
	if err != nil {
		return engine.Image{}, err
	}
	p.step("Building %s from %s (commit %s)", push.App, m.Dockerfile(), short(push.New))
	began := time.Now()
	source, err := d.Source.Archive(ctx, push.App, push.New)
	if err != nil {
		return engine.Image{}, fmt.Errorf("archive commit %s: %w", short(push.New), err)
	}
	lines := p.lines()
	id, err := d.Builder.Build(ctx, spec, source, lines)
	lines.flush()
	err = errors.Join(err, source.Close())
	if err != nil {
		return engine.Image{}, err
	}
	image, err := d.Images.Image(ctx, id)
	if err != nil {
		return engine.Image{}, fmt.Errorf("look at the built image: %w", err)
	}
	p.step("Built image %.19s (%s) in %s", id, octo.Size(image.Size), seconds(time.Since(began)))
	return image, nil
}

func (d *Deployer) buildSpec(ctx context.Context, push octo.Push, m manifest.Manifest, config int) (engine.BuildSpec, error) {
	app, err := d.apps().Get(ctx, string(push.App))
	if err != nil {
		return engine.BuildSpec{}, missing(push.App, err)
	}
	secrets, err := d.secrets(ctx, push.App, config, m)
	return engine.BuildSpec{
		Tag:        fmt.Sprintf("octohost-%.8s/%s:%s", d.Host, push.App, short(push.New)),
		Dockerfile: m.Dockerfile(), Memory: d.Memory, CPU: d.CPU, Scope: scope(d.Host, app.Value), Secrets: secrets,
		Labels: map[string]string{
			engine.LabelHost: d.Host, engine.LabelApp: string(push.App), engine.LabelCommit: push.New,
		},
	}, err
}

// buildFailed says that nothing was released, and what still serves.
func (d *Deployer) buildFailed(ctx context.Context, p *printer, push octo.Push, err error) {
	ctx = context.WithoutCancel(ctx)
	p.failure(err)
	d.stillServing(ctx, p, push.App)
	d.Record(octo.Event{Kind: octo.EventBuildFailed, App: push.App, User: push.User, Message: "build of " + short(push.New) + " failed: " + err.Error()})
}

func short(commit string) string { return commit[:min(len(commit), 7)] }
