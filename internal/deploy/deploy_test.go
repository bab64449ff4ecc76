package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/deploy"
	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// repository is a Source with one tree, whatever the commit.
type repository struct {
	t          *testing.T
	files      map[string]string
	submodules []string
	tagged     []int
}

func (r *repository) Files(_ context.Context, _ octo.Name, _ string, paths ...string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, p := range paths {
		if text, ok := r.files[p]; ok {
			found[p] = []byte(text)
		}
	}
	return found, nil
}

func (r *repository) Archive(context.Context, octo.Name, string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(enginetest.Tar(r.t, r.files))), nil
}

func (r *repository) Submodules(context.Context, octo.Name, string) ([]string, error) {
	return r.submodules, nil
}

func (r *repository) Tag(_ context.Context, _ octo.Name, release int, _ string) error {
	r.tagged = append(r.tagged, release)
	return nil
}

// routed is a Router whose table is always up to date.
type routed struct{}

func (routed) WaitRoute(context.Context, octo.Name, func(octo.Route, bool) bool) error { return nil }

// world is a Deployer over a real store, in which every rollout ends as told.
type world struct {
	t        *testing.T
	store    *bolt.Store
	source   *repository
	engine   *enginetest.Fake
	deployer *deploy.Deployer
	runner   *runner
	full     error // of the disk

	mu      sync.Mutex
	failure *octo.Failure // of every rollout
	events  []octo.Event
}

func newWorld(t *testing.T) *world {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	w := &world{t: t, store: s, engine: enginetest.NewFake(enginetest.FakeConfig{}), runner: &runner{}}
	w.source = &repository{t: t, files: map[string]string{"Dockerfile": "FROM scratch\nEXPOSE 5000\nCMD [\"/hello\"]\n"}}
	w.deployer = deploy.New(deploy.Config{
		Host: "test", Store: s, Source: w.source, Builder: w.engine, Images: w.engine, Router: routed{}, Runner: w.runner,
		URL: func(app octo.Name) string { return "http://" + string(app) + ".localhost" }, Room: func() error { return w.full },
		Record: w.record, Log: slog.New(slog.DiscardHandler),
	})
	_, err = w.apps().Create(t.Context(), "hello", octo.App{Name: "hello", Owner: "ann"})
	require.NoError(t, err)
	settled := make(chan struct{})
	go func() { w.settle(); close(settled) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		<-settled
		require.NoError(t, w.engine.Close())
	})
	return w
}

func (w *world) record(e octo.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
}

func (w *world) releases() store.Docs[octo.Release] {
	return store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
}

// settle stands for the leader: it ends every rollout at once.
func (w *world) settle() {
	ctx := context.Background()
	for docs := range w.apps().Watch(ctx) {
		for _, d := range docs {
			a := d.Value
			if a.Release == a.Live {
				continue
			}
			w.mu.Lock()
			failure := w.failure
			w.mu.Unlock()
			_, _ = w.releases().Update(ctx, store.ReleaseName(a.Name, a.Release), func(r *octo.Release) error {
				r.Outcome, r.Failure = octo.Live, failure
				if failure != nil {
					r.Outcome = octo.Failed
				}
				return nil
			}) // it fails when the store closes, and the watch ends
			if failure == nil {
				w.have(a.Name, a.Release)
			}
			_, _ = w.apps().Update(ctx, string(a.Name), func(now *octo.App) error {
				if failure == nil {
					now.Live = a.Release
				}
				now.Release = now.Live
				return nil
			}) // the same
		}
	}
}

// have stands for the node: it runs a release of an app, or nothing.
func (w *world) have(app octo.Name, release int) {
	var running []octo.Instance
	if release > 0 {
		running = []octo.Instance{{ID: octo.NewInstanceID(app, octo.Web, release, 1), App: app, Release: release, Process: octo.Web, Phase: octo.PhaseHealthy}}
	}
	docs := store.Docs[[]octo.Instance]{Store: w.store, Prefix: store.HavePrefix}
	_, _ = docs.Replace(context.Background(), "node", running, store.Any) // it fails when the store closes
}

func (w *world) push(options ...string) (string, error) {
	var out bytes.Buffer
	err := w.deployer.Push(w.t.Context(), octo.Push{App: "hello", Branch: "main", New: strings.Repeat("ab", 20), User: "ann", Options: options}, &out)
	return out.String(), err
}

func (w *world) app() octo.App {
	doc, err := w.apps().Get(w.t.Context(), "hello")
	require.NoError(w.t, err)
	return doc.Value
}

func TestPush_MakesAReleaseAndSaysSo(t *testing.T) {
	w := newWorld(t)
	out, err := w.push()
	require.NoError(t, err)
	require.Contains(t, out, "-----> Building hello from Dockerfile (commit abababa)\n")
	require.Contains(t, out, "-----> Releasing v1")
	require.Contains(t, out, "=====> hello v1 live at http://hello.localhost")
	require.Equal(t, 1, w.app().Live)
	doc, err := w.releases().Get(t.Context(), store.ReleaseName("hello", 1))
	require.NoError(t, err)
	require.Equal(t, "ann", doc.Value.Author)
	require.Equal(t, "Deploy abababa", doc.Value.Description)
	require.Equal(t, 5000, doc.Value.Processes[0].Port)
	require.Equal(t, []int{1}, w.source.tagged)
	images, err := w.engine.Images(t.Context(), map[string]string{engine.LabelHost: "test", engine.LabelApp: "hello"})
	require.NoError(t, err)
	require.Len(t, images, 1)
	require.Equal(t, doc.Value.Image, images[0].ID)
}

func TestPush_RefusesWhatCannotBeBuilt(t *testing.T) {
	for _, c := range []struct {
		name    string
		spoil   func(*world)
		message string
	}{
		{"no Dockerfile", func(w *world) { delete(w.source.files, "Dockerfile") }, "commit abababa has no Dockerfile"},
		{"another Dockerfile", func(w *world) { w.source.files["octohost.toml"] = "[build]\ndockerfile = \"x/Dockerfile\"" }, "has no x/Dockerfile"},
		{"bad manifest", func(w *world) { w.source.files["octohost.toml"] = "[biuld]" }, "octohost.toml:1"},
		{"bad Procfile", func(w *world) { w.source.files["Procfile"] = "web" }, "Procfile:1"},
		{"submodules", func(w *world) { w.source.submodules = []string{"lib"} }, "submodules (lib)"},
		{"full disk", func(w *world) { w.full = octo.Errorf(octo.ErrUnavailable, "only 3 B are free") }, "only 3 B are free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.push()
			require.NoError(t, err)
			c.spoil(w)
			out, err := w.push()
			require.ErrorContains(t, err, c.message)
			require.Contains(t, out, " !     ")
			require.Contains(t, out, "v1 is still serving")
			require.Equal(t, 1, w.app().Last, "nothing was released")
			require.Equal(t, octo.EventBuildFailed, w.events[len(w.events)-1].Kind)
		})
	}
}

func TestPush_TellsWhyAReleaseFailed(t *testing.T) {
	w := newWorld(t)
	_, err := w.push()
	require.NoError(t, err)
	w.mu.Lock()
	w.failure = &octo.Failure{
		Kind: octo.FailedExit, Message: "web.1 ended with code 3", Hint: "look at its log",
		Transcript: []string{"0.1 s: connection refused"}, Logs: []string{"cannot find config"},
	}
	w.mu.Unlock()
	out, err := w.push()
	require.ErrorContains(t, err, "v2 failed: web.1 ended with code 3")
	for _, want := range []string{"look at its log", "connection refused", "cannot find config", "v1 is still serving"} {
		require.Contains(t, out, want)
	}
	require.Equal(t, 1, w.app().Live)
}

// What is not healthy is not said to serve.
func TestPush_NothingServes(t *testing.T) {
	w := newWorld(t)
	_, err := w.push()
	require.NoError(t, err)
	w.have("hello", 0)
	delete(w.source.files, "Dockerfile")
	out, err := w.push()
	require.Error(t, err)
	require.Contains(t, out, "v1 stays, but nothing of it is healthy at the moment (see: octo ps -a hello)")
}

func TestRollback(t *testing.T) {
	w := newWorld(t)
	who := octo.Identity{User: "bob"}
	require.ErrorIs(t, w.deployer.Rollback(t.Context(), who, "hello", 0, io.Discard), octo.ErrNotFound, "there is nothing to go back to")
	for _, text := range []string{"one", "two"} {
		w.source.files["text"] = text
		_, err := w.push()
		require.NoError(t, err)
	}
	var out bytes.Buffer
	require.NoError(t, w.deployer.Rollback(t.Context(), who, "hello", 0, &out))
	require.Contains(t, out.String(), "-----> Rolling hello back to v1")
	require.Equal(t, 3, w.app().Live)
	doc, err := w.releases().Get(t.Context(), store.ReleaseName("hello", 3))
	require.NoError(t, err)
	require.Equal(t, "Rollback to v1", doc.Value.Description)
	require.Equal(t, "bob", doc.Value.Author)

	require.ErrorIs(t, w.deployer.Rollback(t.Context(), who, "hello", 9, io.Discard), octo.ErrNotFound)
}

// An image that is no longer kept is built again from its commit.
func TestRollback_BuildsAnew(t *testing.T) {
	w := newWorld(t)
	for _, text := range []string{"one", "two"} {
		w.source.files["text"] = text
		_, err := w.push()
		require.NoError(t, err)
	}
	first, err := w.releases().Get(t.Context(), store.ReleaseName("hello", 1))
	require.NoError(t, err)
	require.NoError(t, w.engine.RemoveImage(t.Context(), first.Value.Image))
	w.source.files["text"] = "one"
	var out bytes.Buffer
	require.NoError(t, w.deployer.Rollback(t.Context(), octo.Identity{User: "bob"}, "hello", 1, &out))
	require.Contains(t, out.String(), "building its commit again")
	require.Equal(t, 3, w.app().Live)
	image, err := w.engine.Image(t.Context(), first.Value.Image)
	require.NoError(t, err, "the same content has the same id")
	require.NotEmpty(t, image.ID)
}

// runner is a Runner whose tasks end as told.
type runner struct {
	code int
	ran  []string
}

func (r *runner) RunTask(_ context.Context, rel octo.Release, t octo.Task, out io.Writer) (int, error) {
	r.ran = append(r.ran, fmt.Sprintf("%s with config %d", t.Name, rel.Config))
	_, err := io.WriteString(out, "migrating\n")
	return r.code, err
}

func one[T any](v T) *T { return &v }

func TestChange(t *testing.T) {
	w := newWorld(t)
	bob := octo.Identity{User: "bob"}
	var out bytes.Buffer
	scale := func(n int, stage bool) error {
		out.Reset()
		return w.deployer.Change(t.Context(), octo.Change{
			App: "hello", Who: bob, Description: "Scale web", Stage: stage,
			Edit: func(_ context.Context, app octo.App) (octo.Settings, error) {
				s := app.Settings.Clone()
				s.Formation = map[octo.Name]octo.Formation{octo.Web: {Count: one(n)}}
				return s, nil
			},
		}, &out)
	}
	count := func(release int) int {
		doc, err := w.releases().Get(t.Context(), store.ReleaseName("hello", release))
		require.NoError(t, err)
		return doc.Value.Processes[0].Count
	}
	require.NoError(t, scale(2, false))
	require.Contains(t, out.String(), "kept for its first release")
	_, err := w.push()
	require.NoError(t, err)
	require.Equal(t, 2, count(1), "a push takes what was set before")

	require.NoError(t, scale(3, false))
	require.Contains(t, out.String(), "       web.1 stays\n")
	require.Contains(t, out.String(), "hello v2 live")
	require.Equal(t, 3, count(2))
	require.NoError(t, scale(0, false))
	require.Contains(t, out.String(), "       web.1 goes\n")
	require.Contains(t, out.String(), "hello v3 live (nothing of it runs)")
	require.NoError(t, scale(3, false))
	require.NoError(t, scale(3, false))
	require.Contains(t, out.String(), "Nothing to change")

	require.NoError(t, scale(4, true))
	require.Contains(t, out.String(), "kept for the next release")
	require.Equal(t, 4, w.app().Live)
	require.NoError(t, scale(4, false), "what is staged is not yet there")
	require.Equal(t, 4, count(5))

	require.NoError(t, w.deployer.Rollback(t.Context(), bob, "hello", 1, &out))
	require.Equal(t, 2, count(6), "the settings come back with the release")
	require.Equal(t, 2, *w.app().Formation[octo.Web].Count, "also for the next push")
	require.ErrorIs(t, w.deployer.Change(t.Context(), octo.Change{App: "none"}, &out), octo.ErrNotFound)
}

func TestChange_RunsTasks(t *testing.T) {
	w := newWorld(t)
	_, err := w.push()
	require.NoError(t, err)
	_, err = w.releases().Update(t.Context(), store.ReleaseName("hello", 1), func(r *octo.Release) error {
		r.Tasks = []octo.Task{{Name: "release", Command: []string{"/migrate"}}}
		return nil
	})
	require.NoError(t, err)
	var out bytes.Buffer
	configure := func(n int) error {
		return w.deployer.Change(t.Context(), octo.Change{App: "hello", Edit: func(_ context.Context, app octo.App) (octo.Settings, error) {
			app.Config = n
			return app.Settings, nil
		}}, &out)
	}
	w.runner.code = 3
	err = configure(1)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "release ended with exit code 3, so nothing is released")
	require.Equal(t, 1, w.app().Release)
	require.Zero(t, w.app().Config)
	w.runner.code = 0
	require.NoError(t, configure(2))
	require.Equal(t, []string{"release with config 1", "release with config 2"}, w.runner.ran)
	require.Contains(t, out.String(), "-----> Running release: /migrate\n       migrating")
	require.Equal(t, 2, w.app().Live)
}

func TestPush_NoWait(t *testing.T) {
	w := newWorld(t)
	out, err := w.push("no-wait")
	require.NoError(t, err)
	require.Contains(t, out, "=====> hello v1 is released")
}

// Two crashes may leave a release that no app knows; its number is not used again.
func TestPush_SkipsAnOrphan(t *testing.T) {
	w := newWorld(t)
	_, err := w.releases().Create(t.Context(), store.ReleaseName("hello", 1), octo.Release{App: "hello", Number: 1})
	require.NoError(t, err)
	out, err := w.push()
	require.NoError(t, err)
	require.Contains(t, out, "hello v2 live")
	require.Equal(t, 2, w.app().Live)
}

func TestIdle_WaitsForNoOne(t *testing.T) {
	w := newWorld(t)
	called := false
	require.True(t, w.deployer.Idle(func() { called = true }))
	require.True(t, called)
}
