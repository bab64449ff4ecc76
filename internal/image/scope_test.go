package image

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// Steps that an app has run are used again for that app, and for no other, which may
// know less or do harm.
func TestBuild_RealCacheIsScoped(t *testing.T) {
	eachBuilder(t, func(r *real) {
		mark := r.spec.Labels[engine.LabelHost]
		dockerfile := "FROM scratch AS first\nCOPY testapp /testapp\nRUN [\"/testapp\", \"write\", \"/made\", \"" + mark + "\"]\n" +
			"FROM scratch\nCOPY --from=first /testapp /made /\nRUN [\"/testapp\", \"say\", \"" + mark + "\"]\nCMD [\"/testapp\"]\n"
		build := func(app string) string {
			spec := r.spec
			spec.Tag, spec.Scope = mark+":"+app, app
			spec.Labels = map[string]string{engine.LabelHost: mark, engine.LabelApp: app}
			var out bytes.Buffer
			_, err := r.build(r.Context(), spec, enginetest.Source(r, map[string]string{"Dockerfile": dockerfile}), &out)
			require.NoError(r, err, "%s", out.String())
			return out.String()
		}
		ran := "  " + mark + "\n"
		require.Contains(r, build("one"), ran)
		require.NotContains(r, build("one"), ran, "its own is used again")
		require.Contains(r, build("two"), ran, "that of others is not")
		require.NotContains(r, build("two"), ran)
		require.NotContains(r, build("one"), ran, "somebody else's does not push it out")
	})
}

// What an app has put into a cache mount is not there for another.
func TestBuild_RealCacheMountsAreScoped(t *testing.T) {
	eachBuildKit(t, func(r *real) {
		mark := r.spec.Labels[engine.LabelHost]
		build := func(scope string, command ...string) error {
			spec := r.spec
			spec.Scope = scope
			run := fmt.Sprintf("RUN --mount=type=cache,id=%s,target=/c [\"/testapp\", %s]\n", mark, `"`+strings.Join(command, `", "`)+`"`)
			source := enginetest.Source(r, map[string]string{"Dockerfile": "FROM scratch\nCOPY testapp /testapp\n" + run})
			_, err := r.build(r.Context(), spec, source, io.Discard)
			return err
		}
		require.NoError(r, build("one", "write", "/c/x", "poison"))
		require.NoError(r, build("one", "cat", "/c/x"))
		require.ErrorIs(r, build("two", "cat", "/c/x"), octo.ErrInvalid)
	})
}

func TestBuild_RealSecrets(t *testing.T) {
	eachBuildKit(t, func(r *real) {
		large := bytes.Repeat([]byte{0, 0xff, 10, 'x'}, 64<<10)
		r.spec.Scope = r.spec.Labels[engine.LabelHost] // nothing of it has run before
		r.spec.Secrets = map[string][]byte{"TOKEN": []byte("canary"), "LARGE": large}
		dockerfile := "FROM scratch\nCOPY testapp /testapp\n"
		for _, id := range []string{"TOKEN", "LARGE"} {
			dockerfile += "RUN --mount=type=secret,id=" + id + " [\"/testapp\", \"sum\", \"/run/secrets/" + id + "\"]\n"
		}
		build := func() (string, error) {
			var out bytes.Buffer
			_, err := r.build(r.Context(), r.spec, enginetest.Source(r, map[string]string{"Dockerfile": dockerfile}), &out)
			return out.String(), err
		}
		out, err := build()
		require.NoError(r, err, "%s", out)
		require.Contains(r, out, fmt.Sprintf("%x", sha256.Sum256(large)))
		require.Contains(r, out, fmt.Sprintf("%x", sha256.Sum256([]byte("canary"))))
		require.NotContains(r, out, "canary")

		dockerfile += "RUN --mount=type=secret,id=OTHER,required=true [\"/testapp\", \"say\", \"x\"]\n"
		_, err = build()
		require.ErrorIs(r, err, octo.ErrInvalid)
		require.ErrorContains(r, err, "needs the build secret OTHER")
		require.ErrorContains(r, err, `[build] secrets = ["OTHER"]; and set it: octo config:set OTHER=…`)
	})
}

func TestBuild_SecretsNeedBuildKit(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no buildx to be found
	spec := engine.BuildSpec{Secrets: map[string][]byte{"A": nil}, Memory: 1 << 30}
	for name, prefer := range map[string]Preference{"classic": Classic, "none": Auto} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, enginetest.FakeConfig{})
			r.buildKit = name != "none"
			_, err := New(Config{Engine: r, Prefer: prefer}).Build(t.Context(), spec, tarOf(t, withRun), io.Discard)
			require.ErrorIs(t, err, octo.ErrInvalid)
			require.ErrorContains(t, err, "build secrets, which need BuildKit")
			require.Empty(t, r.asked)
		})
	}
	r := newRecorder(t, enginetest.FakeConfig{})
	_, err := New(Config{Engine: r}).Build(t.Context(), spec, tarOf(t, withRun), io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"buildkit"}, r.asked)
}

// eachBuildKit runs a test with the builders that have mounts.
func eachBuildKit(t *testing.T, test func(r *real)) {
	t.Helper()
	for _, name := range []string{"buildkit", "buildx"} {
		t.Run(name, func(t *testing.T) {
			e, err := docker.Open(enginetest.Docker(t))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, e.Close()) })
			cfg := Config{Engine: e, Address: e.Address(), Prefer: BuildKit}
			if name == "buildx" {
				cfg.Buildx = buildx(t)
			}
			host := enginetest.Host()
			enginetest.Sweep(t, e, host)
			test(&real{T: t, Engine: e, build: New(cfg).Build, spec: engine.BuildSpec{
				Dockerfile: "Dockerfile", Labels: map[string]string{engine.LabelHost: host, engine.LabelApp: "hello"},
			}})
		})
	}
}
