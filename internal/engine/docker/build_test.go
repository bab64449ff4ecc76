package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

type buildFunc func(context.Context, engine.BuildSpec, io.Reader, io.Writer) (string, error)

// eachBuilder runs a test with both builders of the engine.
func eachBuilder(t *testing.T, test func(y *yard, build buildFunc)) {
	t.Helper()
	for _, name := range []string{"classic", "buildkit"} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			build := y.Build
			if name == "buildkit" {
				build = y.BuildKit
			}
			test(y, build)
		})
	}
}

func (y *yard) spec() engine.BuildSpec {
	return engine.BuildSpec{Tag: y.host + ":built", Dockerfile: "Dockerfile", Labels: y.labels}
}

const threeSteps = `FROM scratch
COPY testapp /testapp
RUN ["/testapp", "say", "one", "two"]
ENV MARK=%s
RUN ["/testapp", "say", "three"]
EXPOSE 5000
CMD ["/testapp"]
`

func TestBuild_PrintsStepsAndLabels(t *testing.T) {
	eachBuilder(t, func(y *yard, build buildFunc) {
		source := map[string]string{"Dockerfile": fmt.Sprintf(threeSteps, rand.Text())}
		var out bytes.Buffer
		id, err := build(y.Context(), y.spec(), enginetest.Source(y, source), &out)
		require.NoError(y, err, "%s", out.String())
		require.Contains(y, out.String(), `RUN ["/testapp", "say", "three"]`+"\n  three\n")
		require.NotContains(y, out.String(), y.host, "no labels, no tags")

		image, err := y.Image(y.Context(), id)
		require.NoError(y, err)
		require.Equal(y, y.host, image.Labels[engine.LabelHost])
		require.Equal(y, []int{5000}, image.Ports)
		require.Equal(y, []string{y.host + ":built"}, image.Tags)

		out.Reset()
		again, err := build(y.Context(), y.spec(), enginetest.Source(y, source), &out)
		require.NoError(y, err)
		require.Equal(y, id, again)
		require.Contains(y, out.String(), `RUN ["/testapp", "say", "three"] (cached)`)
		require.NotContains(y, out.String(), "  three")
	})
}

func TestBuild_ExplainsFailures(t *testing.T) {
	for name, c := range map[string]struct{ dockerfile, step, message string }{
		"parse error": {"FROM scratch\nFOO bar\n", "", "unknown instruction: FOO"},
		"run fails":   {"FROM scratch\nCOPY testapp /testapp\nRUN [\"/testapp\", \"exit\", \"3\"]\n", `RUN ["/testapp", "exit", "3"]`, "code: 3"},
		"copy fails":  {"FROM scratch\nCOPY nothere /\n", "COPY nothere /", "nothere"},
		"no base":     {"FROM 127.0.0.1:1/nobody/nothing\n", "nothing", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			eachBuilder(t, func(y *yard, build buildFunc) {
				var out bytes.Buffer
				_, err := build(y.Context(), y.spec(), enginetest.Source(y, map[string]string{"Dockerfile": c.dockerfile}), &out)
				require.ErrorIs(y, err, octo.ErrInvalid)
				failed, ok := errors.AsType[*engine.BuildError](err)
				require.True(y, ok)
				require.Contains(y, failed.Message, c.message)
				require.Contains(y, failed.Step, c.step)
			})
		})
	}
	t.Run("no Dockerfile", func(t *testing.T) {
		eachBuilder(t, func(y *yard, build buildFunc) {
			_, err := build(y.Context(), y.spec(), bytes.NewReader(enginetest.Tar(y, map[string]string{"README": ""})), io.Discard)
			require.ErrorIs(y, err, octo.ErrInvalid)
			require.ErrorContains(y, err, "Dockerfile")
		})
	})
	t.Run("no tar", func(t *testing.T) {
		eachBuilder(t, func(y *yard, build buildFunc) {
			_, err := build(y.Context(), y.spec(), strings.NewReader("nonsense"), io.Discard)
			require.ErrorIs(y, err, octo.ErrInvalid)
		})
	})
}

// watch is a writer that says when a text has been written.
type watch struct {
	text string
	seen chan struct{}
	all  bytes.Buffer
}

func (w *watch) Write(p []byte) (int, error) {
	had := strings.Contains(w.all.String(), w.text)
	w.all.Write(p)
	if !had && strings.Contains(w.all.String(), w.text) {
		close(w.seen)
	}
	return len(p), nil
}

func TestBuild_StopsWhenCancelled(t *testing.T) {
	eachBuilder(t, func(y *yard, build buildFunc) {
		ctx, cancel := context.WithTimeout(y.Context(), time.Minute)
		defer cancel()
		mark := y.host // in the command line of the process, to be found
		source := enginetest.Source(y, map[string]string{"Dockerfile": fmt.Sprintf(
			"FROM scratch\nCOPY testapp /testapp\nENV MARK=%s\nRUN [\"/testapp\", \"say\", \"begun\"]\nRUN [\"/testapp\", \"sleep\", \"300s\", \"%s\"]\n", mark, mark)})
		out := &watch{text: `sleep", "300s"`, seen: make(chan struct{})}
		result := make(chan error, 1)
		go func() {
			_, err := build(ctx, y.spec(), source, out)
			result <- err
		}()
		<-out.seen
		require.Eventually(y, func() bool { return running(y, mark) }, 30*time.Second, 10*time.Millisecond, "%s", out.all.String())
		cancel()
		require.ErrorIs(y, <-result, context.Canceled)
		require.Eventually(y, func() bool { return !running(y, mark) }, 30*time.Second, 10*time.Millisecond, "the step is killed")
	})
}

func TestBuild_LimitsSteps(t *testing.T) {
	y := newYard(t)
	spec := y.spec()
	spec.Memory, spec.CPU = 32<<20, 0.5
	dockerfile := "FROM scratch\nCOPY testapp /testapp\nENV MARK=%s\nRUN [\"/testapp\", %s]\n"
	var out bytes.Buffer
	_, err := y.Build(t.Context(), spec, enginetest.Source(t, map[string]string{"Dockerfile": fmt.Sprintf(dockerfile, y.host, `"eat"`)}), &out)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "137")
}

func TestBuild_PullsBaseImages(t *testing.T) {
	eachBuilder(t, func(y *yard, build buildFunc) {
		base := registry(y, y.host)
		var out bytes.Buffer
		id, err := build(y.Context(), y.spec(), enginetest.Source(y, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY testapp /testapp\nCMD [\"/testapp\"]\n"}), &out)
		require.NoError(y, err, "%s", out.String())
		require.Contains(y, out.String(), "base")
		image, err := y.Image(y.Context(), id)
		require.NoError(y, err)
		require.Contains(y, image.Env, "BASE="+y.host)
		require.NoError(y, y.RemoveImage(y.Context(), id))
		require.NoError(y, y.RemoveImage(y.Context(), base))
	})
}

const twoStages = `FROM scratch AS builder
COPY testapp /testapp
ENV MARK=%s
RUN ["/testapp", "write", "/built", "%[1]s"]
FROM scratch
COPY --from=builder /built /built
ENV MARK=%[1]s
RUN ["/nothing"]
`

// What the classic builder leaves behind is labelled, replaced, and gone with the
// app.
func TestBuild_KeepsTrackOfItsCache(t *testing.T) {
	y := newYard(t)
	spec := y.spec()
	spec.Labels = map[string]string{engine.LabelHost: y.host, engine.LabelApp: "hello", engine.LabelCommit: "c"}
	build := func(dockerfile string) (string, error) {
		var out bytes.Buffer
		_, err := y.Build(t.Context(), spec, enginetest.Source(t, map[string]string{"Dockerfile": dockerfile}), &out)
		return out.String(), err
	}
	cached := func() []string {
		images, err := y.Images(t.Context(), y.labels)
		require.NoError(t, err)
		var ids []string
		for _, i := range images {
			if i.Labels[engine.LabelCache] == "" {
				continue // the result
			}
			require.Equal(t, "hello", i.Labels[engine.LabelApp])
			require.NotContains(t, i.Labels, engine.LabelCommit)
			ids = append(ids, i.ID)
		}
		return ids
	}
	broken := fmt.Sprintf(twoStages, rand.Text())
	_, err := build(broken)
	require.Error(t, err)
	first := cached()
	require.Len(t, first, 2, "a stage, and how far the other one got")
	_, err = build(broken)
	require.Error(t, err)
	require.ElementsMatch(t, first, cached())

	mended := strings.Replace(broken, `RUN ["/nothing"]`, `CMD ["/built"]`, 1)
	out, err := build(mended)
	require.NoError(t, err)
	require.Contains(t, out, "(cached)")
	second := cached()
	require.Len(t, second, 1, "the stage that was copied from")
	_, err = build("FROM scratch\nCOPY testapp /testapp\nFOO\n")
	require.Error(t, err)
	require.Equal(t, second, cached(), "a build that does nothing keeps what there is")
	_, err = build(broken + "#")
	require.Error(t, err)
	require.Subset(t, cached(), second, "so does one that fails")

	_, err = build(fmt.Sprintf(strings.Replace(twoStages, `RUN ["/nothing"]`, `CMD ["/built"]`, 1), rand.Text()))
	require.NoError(t, err)
	require.Len(t, cached(), 1)
	require.NotEqual(t, second, cached())
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("\x0a\x0f\x0a\x01d\x1a\x06[1/1] X\x20\x01"))
	f.Add([]byte("\x1a\x05\x0a\x01d\x22\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &buildkit{steps: engine.NewSteps(io.Discard), vertices: map[string]*vertex{}}
		if err := b.trace(data); err != nil {
			require.ErrorIs(t, err, errTrace)
		}
	})
}

// The engine makes a step of each label; people see those that they wrote.
func TestClassic_HidesItsLabels(t *testing.T) {
	var out strings.Builder
	c := &classic{steps: engine.NewSteps(&out), labels: 2}
	for _, text := range []string{"Step 1/5 : FROM scratch", " ---> \n", "Step 2/5 : LABEL mine=1", " ---> Running in 1a\n", "Step 3/5 : CMD [\"x\"]", " ---> Using cache\n", "Step 4/5 : LABEL a=b", " ---> Using cache\n", "Step 5/5 : LABEL c=d", " ---> Running in 2b\n"} {
		require.NoError(t, c.take(buildMessage{Stream: text}))
	}
	require.Equal(t, "[1/3] FROM scratch\n[2/3] LABEL mine=1\n[3/3] CMD [\"x\"] (cached)\n", out.String())
}

func FuzzClassic(f *testing.F) {
	f.Add("Step 1/2 : FROM scratch", " ---> Using cache\n")
	f.Add("Step x", "Step 2/2 : LABEL a=b")
	f.Fuzz(func(_ *testing.T, first, second string) {
		c := &classic{steps: engine.NewSteps(io.Discard), labels: 1}
		for _, text := range []string{first, second, first} {
			_ = c.take(buildMessage{Stream: text, Aux: []byte(first)}) // never fails
		}
	})
}

// Secrets are there for a RUN step that mounts them, whatever bytes they are, and
// nowhere else.
func TestBuildKit_Secrets(t *testing.T) {
	y := newYard(t)
	canary := "canary-" + rand.Text()
	large := bytes.Repeat([]byte{0, 0xff, '\n', 'x'}, 64<<10)
	spec := y.spec()
	spec.Secrets = map[string][]byte{"TOKEN": []byte(canary), "LARGE": large, "EMPTY": {}}
	dockerfile := `FROM scratch
COPY testapp /testapp
RUN --mount=type=secret,id=TOKEN ["/testapp", "sum", "/run/secrets/TOKEN"]
RUN --mount=type=secret,id=LARGE,required=true ["/testapp", "sum", "/run/secrets/LARGE"]
RUN --mount=type=secret,id=NONE ["/testapp", "say", "optional"]
CMD ["/testapp"]
`
	var out bytes.Buffer
	id, err := y.BuildKit(t.Context(), spec, enginetest.Source(t, map[string]string{"Dockerfile": dockerfile}), &out)
	require.NoError(t, err, "%s", out.String())
	for _, secret := range [][]byte{[]byte(canary), large} {
		require.Contains(t, out.String(), fmt.Sprintf("%x", sha256.Sum256(secret)))
	}
	require.Contains(t, out.String(), "optional")
	require.NotContains(t, out.String(), canary)
	history, err := y.client.ImageHistory(t.Context(), id)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", history), canary)

	out.Reset()
	missing := strings.Replace(dockerfile, "id=NONE", "id=NONE,required=true", 1)
	_, err = y.BuildKit(t.Context(), spec, enginetest.Source(t, map[string]string{"Dockerfile": missing}), &out)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "NONE")
	require.NotContains(t, err.Error(), canary)
}
