package deploy_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// setConfig changes the number of the app's configuration.
func (w *world) setConfig(n int, stage bool, out *bytes.Buffer) error {
	return w.deployer.Change(w.t.Context(), octo.Change{
		App: "hello", Who: octo.Identity{User: "bob"}, Description: "Set A", Stage: stage,
		Edit: func(_ context.Context, app octo.App) (octo.Settings, error) {
			s := app.Settings.Clone()
			s.Config = n
			return s, nil
		},
	}, out)
}

func TestChange_KnowsWhatWasSetBefore(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	_, err := w.push()
	require.NoError(t, err)
	require.NoError(t, w.setConfig(1, false, &out))
	require.NoError(t, w.setConfig(2, true, &out))
	out.Reset()
	require.NoError(t, w.setConfig(2, true, &out))
	require.Contains(t, out.String(), "Nothing to change")

	w.mu.Lock()
	w.failure = &octo.Failure{Kind: octo.FailedExit, Message: "web ended"}
	w.mu.Unlock()
	out.Reset()
	require.ErrorIs(t, w.setConfig(3, false, &out), octo.ErrInvalid)
	require.Contains(t, out.String(), " !     What was set before v3 holds again.\n")
	doc, err := w.releases().Get(t.Context(), store.ReleaseName("hello", 3))
	require.NoError(t, err)
	require.Equal(t, 3, doc.Value.Config)
	require.Equal(t, 2, doc.Value.Before.Config, "what was staged, too")
}

// A configuration that containers could not be given is not released.
func TestChange_NeedsAReadableConfiguration(t *testing.T) {
	w := newWorld(t)
	w.deployer.Readable = func(_ context.Context, r octo.Release) error {
		if r.Config == 0 {
			return nil
		}
		return octo.Errorf(octo.ErrUnavailable, "the key is gone")
	}
	_, err := w.push()
	require.NoError(t, err)
	var out bytes.Buffer
	require.ErrorContains(t, w.setConfig(1, false, &out), "the key is gone")
	require.Equal(t, 1, w.app().Last)
}

// builder notes what it is asked for.
type builder struct {
	*enginetest.Fake
	asked []engine.BuildSpec
}

func (b *builder) Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	b.asked = append(b.asked, spec)
	return b.Fake.Build(ctx, spec, source, out)
}

func TestPush_BuildSecrets(t *testing.T) {
	w := newWorld(t)
	b := &builder{Fake: w.engine}
	w.deployer.Builder = b
	w.deployer.Secrets = func(_ context.Context, _ octo.Name, config int, names []string) (map[string][]byte, error) {
		require.Equal(t, []string{"A", "B"}, names)
		all := []map[string][]byte{nil, {"A": []byte("1"), "B": nil}}
		return all[config], nil
	}
	w.source.files["octohost.toml"] = "[build]\nsecrets = [\"A\", \"B\"]\n"
	_, err := w.push()
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "names the build secret A, which is not set; octo config:set A=- -a hello")
	require.Empty(t, b.asked, "nothing is built in vain")

	require.NoError(t, w.setConfig(1, false, &bytes.Buffer{}))
	_, err = w.push()
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"A": []byte("1"), "B": nil}, b.asked[0].Secrets)
	require.Regexp(t, "^hello-[0-9a-f]{16}$", b.asked[0].Scope)
}
