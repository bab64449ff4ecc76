package reap_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/reap"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

type world struct {
	*reap.Reaper
	t      *testing.T
	store  *bolt.Store
	engine *enginetest.Fake
	deploy sync.RWMutex // held while a deploy is at work

	mu       sync.Mutex
	removed  []string // repositories, events and logs of apps
	untagged []int
	spaces   []reap.Space // one for each time that it is asked; the last stays
	events   []octo.Event
}

func newWorld(t *testing.T) *world {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	w := &world{t: t, store: s, engine: enginetest.NewFake(enginetest.FakeConfig{})}
	w.Reaper = reap.New(reap.Config{
		Host: "test", Store: s, Engine: w.engine, Keep: 2, Cache: 1 << 30, Record: w.record, Log: slog.New(slog.DiscardHandler),
		Untag: w.untag, Networks: func(context.Context, bool) ([]string, error) { return nil, nil }, Space: w.space,
		Repository: w.removal("repository"), Events: w.removal("events"), Logs: w.removal("logs"), Names: w.removal("names"),
		Idle: func(f func()) bool {
			if !w.deploy.TryLock() {
				return false
			}
			defer w.deploy.Unlock()
			f()
			return true
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, s.Close())
		require.NoError(t, w.engine.Close())
	})
	return w
}

// removal takes note that something of an app was removed.
func (w *world) removal(what string) func(context.Context, octo.Name) error {
	return func(_ context.Context, app octo.Name) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.removed = append(w.removed, what+" of "+string(app))
		return nil
	}
}

func (w *world) untag(_ context.Context, _ octo.Name, releases []int) error {
	w.untagged = append(w.untagged, releases...)
	return nil
}

func (w *world) space(context.Context) reap.Space {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.spaces) == 0 {
		return reap.Roomy
	}
	s := w.spaces[0]
	w.spaces = w.spaces[min(1, len(w.spaces)-1):]
	return s
}

func (w *world) record(e octo.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// image makes an image of an app.
func (w *world) image(app octo.Name, tag string) string {
	return w.engine.AddImage(engine.Image{
		Tags:   []string{string(app) + ":" + tag},
		Labels: map[string]string{engine.LabelHost: "test", engine.LabelApp: string(app)},
	})
}

// release writes release n of an app, with an image of its own, as live.
func (w *world) release(app octo.Name, n int) string {
	image := w.image(app, octo.Version(n))
	w.rerelease(app, n, image)
	return image
}

// rerelease writes release n of an app, with an image that is there, as live.
func (w *world) rerelease(app octo.Name, n int, image string) {
	_, err := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}.
		Create(w.t.Context(), store.ReleaseName(app, n), octo.Release{App: app, Number: n, Image: image, Outcome: octo.Live})
	require.NoError(w.t, err)
}

func (w *world) put(a octo.App) {
	_, err := store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}.Replace(w.t.Context(), string(a.Name), a, store.Any)
	require.NoError(w.t, err)
}

func (w *world) images(app octo.Name) []string {
	list, err := w.engine.Images(w.t.Context(), map[string]string{engine.LabelHost: "test", engine.LabelApp: string(app)})
	require.NoError(w.t, err)
	ids := []string{}
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return ids
}

func (w *world) eventually(app octo.Name, want ...string) {
	slices.Sort(want)
	require.Eventually(w.t, func() bool { return slices.Equal(w.images(app), want) }, 5*time.Second, 5*time.Millisecond)
}

func TestReaper_KeepsTheImagesOfTheLastReleases(t *testing.T) {
	w := newWorld(t)
	var images []string
	for n := 1; n <= 4; n++ {
		images = append(images, w.release("hello", n))
	}
	other := w.release("hello2", 1)
	w.put(octo.App{Name: "hello", Release: 4, Live: 4, Last: 4})
	w.eventually("hello", images[2], images[3])
	require.Equal(t, []string{other}, w.images("hello2"), "names are compared whole")
}

// Changes of settings and restarts make releases too, with the same image.
func TestReaper_CountsImagesNotReleases(t *testing.T) {
	w := newWorld(t)
	first, second, third := w.release("hello", 1), w.release("hello", 2), w.release("hello", 3)
	for n := 4; n <= 9; n++ {
		w.rerelease("hello", n, third)
	}
	w.put(octo.App{Name: "hello", Release: 9, Live: 9, Last: 9})
	w.eventually("hello", second, third)
	require.NotContains(t, w.images("hello"), first)
}

// What a container uses stays, and goes when that has gone, though the app has not
// changed since.
func TestReaper_LooksAgainAtWhatWasInUse(t *testing.T) {
	w := newWorld(t)
	first, second, third := w.release("hello", 1), w.release("hello", 2), w.release("hello", 3)
	c, err := w.engine.Start(t.Context(), engine.Spec{Name: "still-there", Image: first, Command: []string{"/app"}, Labels: map[string]string{engine.LabelHost: "test", engine.LabelInstance: "x"}})
	require.NoError(t, err)
	w.put(octo.App{Name: "hello", Release: 3, Live: 3, Last: 3})
	require.Never(t, func() bool { return len(w.images("hello")) < 3 }, 100*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, w.engine.Stop(t.Context(), c.ID, 0))
	require.NoError(t, w.engine.Remove(t.Context(), c.ID))
	list, err := w.Collect(t.Context(), octo.Collection{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Empty(t, list[0].Error)
	w.eventually("hello", second, third)
}

func TestReaper_KeepsWhatRunsHoweverOld(t *testing.T) {
	w := newWorld(t)
	first, _, third, fourth := w.release("hello", 1), w.release("hello", 2), w.release("hello", 3), w.release("hello", 4)
	w.put(octo.App{Name: "hello", Release: 1, Live: 1, Last: 4})
	w.eventually("hello", first, third, fourth)
}

func TestReaper_BuriesADestroyedAppOnceItIsStill(t *testing.T) {
	w := newWorld(t)
	image := w.release("hello", 1)
	want := store.Docs[[]octo.Assignment]{Store: w.store, Prefix: store.WantPrefix}
	_, err := want.Create(t.Context(), "n1", []octo.Assignment{{Instance: "hello.web.v1.1", App: "hello", Drain: true}})
	require.NoError(t, err)
	keys := store.Docs[octo.Key]{Store: w.store, Prefix: store.KeysPrefix}
	for name, app := range map[string]octo.Name{"a": "hello", "b": "hello2", "c": ""} {
		_, err := keys.Create(t.Context(), name, octo.Key{App: app})
		require.NoError(t, err)
	}
	w.put(octo.App{Name: "hello", Release: 1, Live: 1, Last: 1, Destroying: true})
	require.Never(t, func() bool { return len(w.images("hello")) == 0 }, 200*time.Millisecond, 20*time.Millisecond)
	require.Equal(t, []string{image}, w.images("hello"))

	w.deploy.RLock()                                         // of another app
	_, err = want.Replace(t.Context(), "n1", nil, store.Any) // nothing else happens any more
	require.NoError(t, err)
	require.Never(t, func() bool { return len(w.images("hello")) == 0 }, 100*time.Millisecond, 20*time.Millisecond)
	w.deploy.RUnlock()
	require.Eventually(t, func() bool {
		_, err := w.store.Get(context.Background(), store.AppsPrefix+"hello")
		return octo.Kind(err) == octo.ErrNotFound
	}, 5*time.Second, 5*time.Millisecond)
	require.Empty(t, w.images("hello"))
	require.Equal(t, []string{"repository of hello", "names of hello", "events of hello", "logs of hello"}, w.removed)
	left, err := w.store.List(t.Context(), store.ReleasesPrefix)
	require.NoError(t, err)
	require.Empty(t, left)
	kept, err := keys.All(t.Context())
	require.NoError(t, err)
	require.Len(t, kept, 2, "its deploy key is gone: it would open the next app of that name")
}

func TestReaper_LeavesImagesAloneWhileADeployIsAtWork(t *testing.T) {
	w := newWorld(t)
	w.deploy.RLock()
	var images []string
	for n := 1; n <= 3; n++ {
		images = append(images, w.release("hello", n))
	}
	w.put(octo.App{Name: "hello", Release: 3, Live: 3, Last: 3})
	require.Never(t, func() bool { return len(w.images("hello")) < 3 }, 200*time.Millisecond, 20*time.Millisecond)
	w.deploy.RUnlock()
	w.put(octo.App{Name: "hello", Release: 3, Live: 3, Last: 4})
	w.eventually("hello", images[1], images[2])
}
