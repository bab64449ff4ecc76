package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// How long buildx has to say its version, and to end after it was told to.
const (
	detectTimeout = 10 * time.Second
	endTimeout    = 5 * time.Second
)

// findOnce returns a function that finds buildx, looking at most once.
func findOnce(named []string) func(context.Context) []string {
	var once sync.Once
	found := named
	return func(ctx context.Context) []string {
		once.Do(func() {
			if len(found) == 0 {
				found = findBuildx(context.WithoutCancel(ctx)) // the answer is for all
			}
		})
		return found
	}
}

// findBuildx returns the command of a buildx that works: Docker's plugin, or the
// program by itself; nil if there is none.
func findBuildx(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, detectTimeout)
	defer cancel()
	for _, command := range [][]string{{"docker", "buildx"}, {"docker-buildx"}} {
		args := append(slices.Clone(command[1:]), "version")
		if exec.CommandContext(ctx, command[0], args...).Run() == nil { //nolint:gosec // two constants
			return command
		}
	}
	return nil
}

// runBuildx builds with docker buildx.
func (b *Builder) runBuildx(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	b.Log.Debug("building", "builder", "buildx", "tag", spec.Tag)
	dir, err := os.MkdirTemp("", "octohost-build-*")
	if err != nil {
		return "", fmt.Errorf("build image: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a few bytes
	idFile := filepath.Join(dir, "id")
	secretArgs, files, err := secretFiles(spec.Secrets)
	if err != nil {
		return "", err
	}
	defer closeAll(files)
	command := b.buildx(ctx)
	args := slices.Concat(command[1:], buildxArgs(spec, b.CgroupParent, idFile, secretArgs))
	cmd := exec.CommandContext(ctx, command[0], args...) //nolint:gosec // the operator's command
	cmd.Env = b.environment()
	cmd.Stdin, cmd.ExtraFiles = source, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The group, because docker runs buildx as a child.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = endTimeout
	p := newProgress(engine.NewSteps(out))
	cmd.Stdout, cmd.Stderr = p, p
	err = cmd.Run()
	p.end()
	switch {
	case ctx.Err() != nil:
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what may be left of the group
		return "", fmt.Errorf("build image: %w", ctx.Err())
	case err != nil && p.failure != "":
		return "", &engine.BuildError{Step: p.failed, Message: p.failure}
	case errors.Is(err, exec.ErrNotFound):
		return "", octo.Errorf(octo.ErrUnavailable, "there is no program %s on this machine", command[0]).
			WithHint("install docker-buildx, or leave build.buildx empty")
	case err != nil:
		return "", fmt.Errorf("build image: %s: %w", strings.Join(command, " "), err)
	}
	return readID(idFile)
}

// buildxArgs are the arguments of a build that reads its context from the standard
// input.
func buildxArgs(spec engine.BuildSpec, cgroupParent, idFile string, secrets []string) []string {
	args := []string{
		"build", "--progress=plain", "--iidfile=" + idFile, "--file=" + spec.Dockerfile,
		"--load",             // into the engine, also from builders outside of it
		"--provenance=false", // it would make the result an index instead of an image
	}
	if spec.Tag != "" {
		args = append(args, "--tag="+spec.Tag)
	}
	if cgroupParent != "" {
		args = append(args, "--cgroup-parent="+cgroupParent)
	}
	if spec.Scope != "" {
		args = append(args, "--add-host="+engine.ScopeHost(spec.Scope), "--build-arg="+engine.ScopeArg+"="+spec.Scope)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
		args = append(args, "--label="+name+"="+spec.Labels[name])
	}
	return append(append(args, secrets...), "-")
}

func (b *Builder) environment() []string {
	env := os.Environ()
	if b.Address != "" {
		env = append(env, "DOCKER_HOST="+b.Address)
	}
	return env
}

func readID(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // our own file
	id := string(bytes.TrimSpace(text))
	if err != nil || !strings.HasPrefix(id, "sha256:") {
		return "", fmt.Errorf("build image: buildx did not say which image it built: %w", err)
	}
	return id, nil
}
