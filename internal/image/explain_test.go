package image

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

func TestExplain(t *testing.T) {
	const run, cp = "[3/4] RUN make", "[2/3] COPY nothere /"
	for name, c := range map[string]struct {
		step, message string
		kind          error
		want          string
	}{
		"classic parse":     {"", "dockerfile parse error line 2: unknown instruction: FOO", octo.ErrInvalid, "the Dockerfile is broken, line 2: unknown instruction: FOO; mend it"},
		"old parse":         {"", "Dockerfile parse error line 2: unknown flag: x", octo.ErrInvalid, "the Dockerfile is broken, line 2: unknown flag: x"},
		"buildkit parse":    {"", "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: FOO", octo.ErrInvalid, "the Dockerfile is broken, line 2: unknown instruction: FOO"},
		"new parse":         {"", "failed to solve: dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)\nmore", octo.ErrInvalid, "line 2: unknown instruction: FOO (did you mean FROM?); mend it"},
		"empty":             {"", "the Dockerfile (Dockerfile) cannot be empty", octo.ErrInvalid, "has no FROM"},
		"no FROM":           {"", "no build stage in current context", octo.ErrInvalid, "has no FROM"},
		"classic exit":      {run, "The command '/bin/sh -c make' returned a non-zero code: 2", octo.ErrInvalid, "the build failed at [3/4] RUN make: exit code 2"},
		"buildkit exit":     {run, "executor failed running [/bin/sh -c make]: exit code: 2", octo.ErrInvalid, "the build failed at [3/4] RUN make: exit code 2"},
		"killed":            {run, `process "/bin/sh -c make" did not complete successfully: exit code: 137`, octo.ErrInvalid, "more memory than a build may"},
		"not found":         {run, "exit code: 127", octo.ErrInvalid, "a command is not there"},
		"classic copy":      {cp, "COPY failed: file not found in build context or excluded by .dockerignore: stat nothere: file does not exist", octo.ErrInvalid, "there is no such file in what was pushed; commit it"},
		"buildkit copy":     {cp, `failed to compute cache key: "/nothere" not found: not found`, octo.ErrInvalid, "there is no such file in what was pushed"},
		"new copy":          {cp, `failed to solve: failed to compute cache key: failed to calculate checksum of ref abc::def: "/nothere": not found`, octo.ErrInvalid, "there is no such file in what was pushed"},
		"base":              {"[1/2] FROM ngnix", "pull access denied for ngnix, repository does not exist or may require 'docker login'", octo.ErrInvalid, "there is no such image, or it is private; check the name"},
		"base tag":          {"[1/2] FROM nginx:x", "manifest for nginx:x not found: manifest unknown: manifest unknown", octo.ErrInvalid, "there is no such image"},
		"buildkit base":     {"looking up docker.io/library/nginx:x", "docker.io/library/nginx:x: not found", octo.ErrInvalid, "there is no such image"},
		"registry":          {"[1/2] FROM nginx", `Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host`, octo.ErrUnavailable, "the registry of the base image cannot be reached at [1/2] FROM nginx: no such host"},
		"too many":          {"[1/2] FROM nginx", "toomanyrequests: You have reached your pull rate limit.", octo.ErrUnavailable, "push again later"},
		"disk":              {cp, "write /x: no space left on device", octo.ErrUnavailable, "the disk of this machine is full"},
		"no shell":          {run, `OCI runtime create failed: runc create failed: unable to start container process: exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown`, octo.ErrInvalid, "the image has no shell"},
		"no program":        {run, `runc create failed: unable to start container process: exec: "foo": executable file not found in $PATH: unknown`, octo.ErrInvalid, "there is no foo in the image"},
		"no file":           {run, `unable to start container process: exec: "/nothing": stat /nothing: no such file or directory: unknown`, octo.ErrInvalid, "there is no /nothing in the image"},
		"other machine":     {run, "standard_init_linux.go:228: exec user process caused: exec format error", octo.ErrInvalid, "another kind of machine"},
		"classic, BuildKit": {"[2/2] RUN --mount=type=cache make", "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled", octo.ErrInvalid, "set to the classic builder"},
		"unknown":           {run, "something\nelse", octo.ErrInvalid, "the build failed at [3/4] RUN make: something"},
	} {
		t.Run(name, func(t *testing.T) {
			err := explain(&engine.BuildError{Step: c.step, Message: c.message})
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	other := errors.New("other")
	require.Equal(t, other, explain(other))
	require.ErrorIs(t, NoCommand(), octo.ErrInvalid)
}

func FuzzExplain(f *testing.F) {
	f.Add("step", "dockerfile parse error line 2: x")
	f.Fuzz(func(t *testing.T, step, message string) {
		err := explain(&engine.BuildError{Step: step, Message: message})
		require.NotNil(t, octo.Kind(err))
	})
}
