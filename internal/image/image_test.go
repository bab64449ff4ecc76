package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// recorder is an engine that notes which of its builders was asked.
type recorder struct {
	*enginetest.Fake
	mu       sync.Mutex
	asked    []string
	buildKit bool // it has one
}

func (r *recorder) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, name)
}

func (r *recorder) Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	r.note("classic")
	return r.Fake.Build(ctx, spec, source, out)
}

func (r *recorder) BuildKit(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	if !r.buildKit {
		return "", engine.ErrNoBuildKit
	}
	r.note("buildkit")
	return r.Fake.Build(ctx, spec, source, out)
}

func newRecorder(t testing.TB, config enginetest.FakeConfig) *recorder {
	t.Helper()
	r := &recorder{Fake: enginetest.NewFake(config), buildKit: true}
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func tarOf(t testing.TB, dockerfile string) io.Reader {
	t.Helper()
	return bytes.NewReader(enginetest.Tar(t, map[string]string{"Dockerfile": dockerfile}))
}

const (
	copyOnly = "FROM scratch\nCOPY Dockerfile /\nCMD [\"/x\"]\n"
	withRun  = "FROM debian\nRUN make\n"
	mounting = "FROM debian\nRUN --mount=type=cache,target=/c make\n"
)

func TestBuild_ChoosesTheBuilder(t *testing.T) {
	limits := engine.BuildSpec{Memory: 1 << 30, CPU: 1}
	for name, c := range map[string]struct {
		dockerfile string
		spec       engine.BuildSpec
		none       bool // the engine has no BuildKit
		want       string
	}{
		"copy only":            {copyOnly, limits, false, "buildkit"},
		"limits":               {withRun, limits, false, "classic"},
		"no limits":            {withRun, engine.BuildSpec{}, false, "buildkit"},
		"needed":               {mounting, limits, false, "buildkit"},
		"engine without, copy": {copyOnly, limits, true, "classic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir()) // no buildx to be found
			r := newRecorder(t, enginetest.FakeConfig{})
			r.buildKit = !c.none
			_, err := New(Config{Engine: r}).Build(t.Context(), c.spec, tarOf(t, c.dockerfile), io.Discard)
			require.NoError(t, err)
			require.Equal(t, []string{c.want}, r.asked)
		})
	}
}

func TestBuild_WaitsItsTurn(t *testing.T) {
	r := newRecorder(t, enginetest.FakeConfig{BuildDelay: 100 * time.Millisecond})
	b := New(Config{Engine: r})
	var all sync.WaitGroup
	outs := make([]bytes.Buffer, 3)
	begin := time.Now()
	for i := range outs {
		all.Go(func() {
			_, err := b.Build(t.Context(), engine.BuildSpec{}, tarOf(t, copyOnly), &outs[i])
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, time.Since(begin), 300*time.Millisecond)
	text := outs[0].String() + outs[1].String() + outs[2].String()
	require.Contains(t, text, "waiting for 1 build ahead\n")
	require.Contains(t, text, "waiting for 2 builds ahead\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Build(ctx, engine.BuildSpec{}, tarOf(t, copyOnly), io.Discard)
	require.ErrorIs(t, err, context.Canceled)
}

func TestBuild_ABrokenSourceIsNoBrokenBuild(t *testing.T) {
	broken := errors.New("git archive failed")
	whole := archive(t, map[string]string{"Dockerfile": copyOnly, "a": strings.Repeat("x", 1<<20)})
	read, write := io.Pipe()
	go func() { // ended by the end of the source
		_, _ = write.Write(whole[:500_000])
		_ = write.CloseWithError(broken)
	}()
	_, err := New(Config{Engine: newRecorder(t, enginetest.FakeConfig{})}).Build(t.Context(), engine.BuildSpec{}, read, io.Discard)
	require.ErrorIs(t, err, broken)
}

func TestBuild_BuildxIsMissing(t *testing.T) {
	b := New(Config{Engine: newRecorder(t, enginetest.FakeConfig{}), Buildx: []string{"/nowhere/docker-buildx"}})
	_, err := b.Build(t.Context(), engine.BuildSpec{Dockerfile: "Dockerfile"}, tarOf(t, copyOnly), io.Discard)
	require.Error(t, err)
}

// buildx returns the command of a buildx for tests.
func buildx(t testing.TB) []string {
	t.Helper()
	path := os.Getenv("OCTO_TEST_BUILDX")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "bin", "docker-buildx")
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("OCTO_TEST_REQUIRE") == "1" {
			t.Fatalf("no buildx: %v", err)
		}
		t.Skipf("no buildx: %v", err)
	}
	return []string{path}
}

// real is a test against the real engine.
type real struct {
	*testing.T
	*docker.Engine
	spec  engine.BuildSpec
	build func(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error)
}

// eachBuilder runs a test with all three builders.
func eachBuilder(t *testing.T, test func(r *real)) {
	t.Helper()
	for _, name := range []string{"classic", "buildkit", "buildx"} {
		t.Run(name, func(t *testing.T) {
			e, err := docker.Open(enginetest.Docker(t))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, e.Close()) })
			cfg := Config{Engine: e, Address: e.Address(), Prefer: BuildKit}
			switch name {
			case "classic":
				cfg.Prefer = Classic
			case "buildx":
				cfg.Buildx = buildx(t)
			}
			host := enginetest.Host()
			enginetest.Sweep(t, e, host)
			test(&real{T: t, Engine: e, build: New(cfg).Build, spec: engine.BuildSpec{
				Tag: host + ":built", Dockerfile: "Dockerfile",
				Labels: map[string]string{engine.LabelHost: host, engine.LabelApp: "hello"},
			}})
		})
	}
}

func TestBuild_Real(t *testing.T) {
	eachBuilder(t, func(r *real) {
		mark := r.spec.Labels[engine.LabelHost]
		dockerfile := "FROM scratch\nCOPY . /\nENV MARK=" + mark + "\nRUN [\"/testapp\", \"cat\", \"/kept.txt\"]\nEXPOSE 5000\nCMD [\"/testapp\"]\n"
		files := map[string]string{"Dockerfile": dockerfile, ".dockerignore": "secret.txt\n", "kept.txt": "kept\n", "secret.txt": "secret"}
		var out bytes.Buffer
		id, err := r.build(r.Context(), r.spec, enginetest.Source(r, files), &out)
		require.NoError(r, err, "%s", out.String())
		require.Contains(r, out.String(), "COPY . /\n")
		require.Contains(r, out.String(), "RUN [\"/testapp\", \"cat\", \"/kept.txt\"]\n  kept\n")
		require.NotContains(r, out.String(), engine.LabelHost)
		require.NotContains(r, out.String(), "sha256:")
		image, err := r.Image(r.Context(), id)
		require.NoError(r, err)
		require.Equal(r, r.spec.Labels, image.Labels)
		require.Equal(r, []string{r.spec.Tag}, image.Tags)
		require.Equal(r, []int{5000}, image.Ports)
		require.Equal(r, []string{"/testapp"}, image.Command)

		out.Reset()
		again, err := r.build(r.Context(), r.spec, enginetest.Source(r, files), &out)
		require.NoError(r, err)
		require.Equal(r, id, again)
		require.Contains(r, out.String(), "(cached)\n")

		delete(files, "secret.txt")
		files["Dockerfile"] += "RUN [\"/testapp\", \"cat\", \"/secret.txt\"]\n"
		_, err = r.build(r.Context(), r.spec, enginetest.Source(r, files), &out)
		require.ErrorIs(r, err, octo.ErrInvalid)
		require.ErrorContains(r, err, `RUN ["/testapp", "cat", "/secret.txt"]: exit code 1`)
	})
}

func TestBuild_RealFailures(t *testing.T) {
	for name, c := range map[string]struct{ dockerfile, want string }{
		"parse error": {"FROM scratch\nFOO bar\n", "the Dockerfile is broken, line 2: unknown instruction: FOO"},
		"empty":       {"\n", "the Dockerfile has no FROM"},
		"no FROM":     {"COPY . /\n", "FROM"},
		"run fails":   {"FROM scratch\nCOPY testapp /testapp\nRUN [\"/testapp\", \"exit\", \"3\"]\n", `RUN ["/testapp", "exit", "3"]: exit code 3`},
		"copy fails":  {"FROM scratch\nCOPY nothere /\n", "COPY nothere /: there is no such file in what was pushed"},
		"no shell":    {"FROM scratch\nCOPY testapp /testapp\nRUN /testapp say hello\n", "the image has no shell"},
		"no program":  {"FROM scratch\nCOPY testapp /testapp\nRUN [\"/nothing\"]\n", "there is no /nothing in the image"},
		"unreachable": {"FROM 127.0.0.1:1/nobody/nothing\n", "the registry of the base image cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			eachBuilder(t, func(r *real) {
				var out bytes.Buffer
				_, err := r.build(r.Context(), r.spec, enginetest.Source(r, map[string]string{"Dockerfile": c.dockerfile}), &out)
				require.ErrorContains(r, err, c.want, "%s", out.String())
				kind := octo.ErrInvalid
				if name == "unreachable" {
					kind = octo.ErrUnavailable
				}
				require.ErrorIs(r, err, kind)
			})
		})
	}
}

// What only BuildKit can is built by it, also by default and under limits.
func TestBuild_RealMounts(t *testing.T) {
	e, err := docker.Open(enginetest.Docker(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	host := enginetest.Host()
	enginetest.Sweep(t, e, host)
	spec := engine.BuildSpec{Dockerfile: "Dockerfile", Memory: 64 << 20, CPU: 1, Labels: map[string]string{engine.LabelHost: host}}
	dockerfile := "FROM scratch\nCOPY testapp /testapp\nRUN --mount=type=cache,target=/c [\"/testapp\", \"write\", \"/c/x\", \"" + host + "\"]\n"
	_, err = New(Config{Engine: e}).Build(t.Context(), spec, enginetest.Source(t, map[string]string{"Dockerfile": dockerfile}), io.Discard)
	require.NoError(t, err)
	_, err = New(Config{Engine: e, Prefer: Classic}).Build(t.Context(), spec, enginetest.Source(t, map[string]string{"Dockerfile": dockerfile}), io.Discard)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "ask its operator to set build.builder to auto")
}

func TestBuild_RealCancelled(t *testing.T) {
	eachBuilder(t, func(r *real) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		mark := r.spec.Labels[engine.LabelHost]
		dockerfile := "FROM scratch\nCOPY testapp /testapp\nRUN [\"/testapp\", \"sleep\", \"300s\", \"" + mark + "\"]\n"
		result := make(chan error, 1)
		go func() {
			_, err := r.build(ctx, r.spec, enginetest.Source(r, map[string]string{"Dockerfile": dockerfile}), io.Discard)
			result <- err
		}()
		require.Eventually(r, func() bool { return running(r, mark) }, 30*time.Second, 10*time.Millisecond)
		cancel()
		require.ErrorIs(r, <-result, context.Canceled)
		require.Eventually(r, func() bool { return !running(r, mark) }, 30*time.Second, 10*time.Millisecond)
	})
}

// running reports whether a process of this machine has mark for an argument.
func running(t testing.TB, mark string) bool {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range found {
		text, err := os.ReadFile(path) //nolint:gosec // a test
		if err == nil && bytes.Contains(text, []byte("\x00"+mark+"\x00")) {
			return true
		}
	}
	return false
}
