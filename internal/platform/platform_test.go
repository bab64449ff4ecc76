package platform_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/platform"
	"github.com/octohost/octohost/internal/sshd"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

var (
	admin = octo.Identity{User: "root", Admin: true}
	ann   = octo.Identity{User: "ann"}
	bob   = octo.Identity{User: "bob"}
)

type world struct {
	*platform.Platform
	t     *testing.T
	store *bolt.Store
	lease store.Lease
}

func newWorld(t *testing.T) *world {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	journal := platform.NewJournal(s, log)
	w := &world{t: t, store: s}
	w.Platform = platform.New(platform.Config{
		Store: s, ParseKey: sshd.ParseAuthorizedKey, Record: journal.Record, Log: log,
		Hosts:  func(context.Context, octo.Name) (map[octo.Name][]string, error) { return nil, nil },
		URL:    func(app octo.Name) string { return "http://" + string(app) + ".localhost" },
		GitURL: func(app octo.Name) string { return "ssh://octo@localhost/" + string(app) },
	})
	w.lease, err = s.Lease(t.Context(), time.Minute)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- journal.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, s.Close())
	})
	return w
}

func (w *world) create(who octo.Identity, name octo.Name) {
	_, err := w.CreateApp(w.t.Context(), who, name)
	require.NoError(w.t, err)
}

// publicKey returns a line as in a .pub file.
func publicKey(t *testing.T, comment string) string {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	line := string(ssh.MarshalAuthorizedKey(key))
	return line[:len(line)-1] + " " + comment
}

func TestApps_BelongToWhoMadeThem(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	w.create(bob, "other")
	_, err := w.CreateApp(t.Context(), bob, "hello")
	require.ErrorIs(t, err, octo.ErrConflict)
	_, err = w.CreateApp(t.Context(), bob, "../hello")
	require.ErrorIs(t, err, octo.ErrInvalid)

	for who, want := range map[octo.Identity]int{ann: 1, bob: 1, admin: 2, {User: "eve"}: 0} {
		list, err := w.Apps(t.Context(), who)
		require.NoError(t, err)
		require.Len(t, list, want, who.User)
	}
	s, err := w.App(t.Context(), "hello")
	require.NoError(t, err)
	require.Equal(t, octo.StateEmpty, s.State)
	require.Equal(t, "http://hello.localhost", s.URL)
}

func TestAuthorize(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	for _, c := range []struct {
		who  octo.Identity
		what octo.Action
		app  octo.Name
		want error
	}{
		{ann, octo.ActionAppDeploy, "hello", nil},
		{ann, octo.ActionAppManage, "hello", nil},
		{ann, octo.ActionAppCreate, "", nil},
		{ann, octo.ActionAdmin, "", octo.ErrDenied},
		{bob, octo.ActionAppRead, "hello", octo.ErrNotFound},
		{bob, octo.ActionAppRead, "hell", octo.ErrNotFound},
		{admin, octo.ActionAppRead, "hello", nil},
		{admin, octo.ActionAppRead, "nothing", octo.ErrNotFound},
		{admin, octo.ActionAdmin, "", nil},
		{octo.Identity{}, octo.ActionNone, "", octo.ErrDenied},
	} {
		err := w.Authorize(t.Context(), c.who, c.what, c.app)
		require.ErrorIs(t, err, c.want, "%v", c)
	}
	// What does not exist and what may not be seen look the same.
	require.Equal(t, octo.NoSuchApp("hello").Error(), w.Authorize(t.Context(), bob, octo.ActionAppRead, "hello").Error())
}

func TestSetBranch(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	s, err := w.SetBranch(t.Context(), ann, "hello", "staging")
	require.NoError(t, err)
	require.Equal(t, "staging", s.Branch)
	branch, err := w.Branch(t.Context(), "hello")
	require.NoError(t, err)
	require.Equal(t, "staging", branch)
	_, err = w.SetBranch(t.Context(), ann, "nothing", "x")
	require.ErrorIs(t, err, octo.ErrNotFound)
}

func TestApp_State(t *testing.T) {
	w := newWorld(t)
	put := func(a octo.App, wanted []octo.Assignment, have []octo.Instance) octo.AppStatus {
		docs := store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
		_, err := docs.Replace(t.Context(), "hello", a, store.Any)
		require.NoError(t, err)
		_, err = store.Docs[[]octo.Assignment]{Store: w.store, Prefix: store.WantPrefix}.Replace(t.Context(), "n1", wanted, store.Any)
		require.NoError(t, err)
		_, err = store.Docs[[]octo.Instance]{Store: w.store, Prefix: store.HavePrefix}.Replace(t.Context(), "n1", have, store.Any)
		require.NoError(t, err)
		s, err := w.App(t.Context(), "hello")
		require.NoError(t, err)
		return s
	}
	app := octo.App{Name: "hello", Release: 1, Live: 1}
	two := []octo.Assignment{{Instance: "hello.web.v1.1", App: "hello"}, {Instance: "hello.web.v1.2", App: "hello"}}
	well := octo.Instance{ID: "hello.web.v1.1", App: "hello", Phase: octo.PhaseHealthy}
	sick := octo.Instance{ID: "hello.web.v1.2", App: "hello", Phase: octo.PhaseFailed}
	require.Equal(t, octo.StateDegraded, put(app, two, []octo.Instance{well, sick}).State)
	require.Equal(t, octo.StateDown, put(app, two, []octo.Instance{sick}).State)
	require.Equal(t, octo.StateUp, put(app, two[:1], []octo.Instance{well}).State)
	require.Equal(t, octo.StateDeploying, put(octo.App{Name: "hello", Release: 2, Live: 1}, two, []octo.Instance{well}).State)
	require.Equal(t, octo.StateDestroying, put(octo.App{Name: "hello", Release: 1, Live: 1, Destroying: true}, two, nil).State)
}

func TestEvents_ShowEachWhatConcernsThem(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.create(ann, "hello")
	w.create(bob, "other")
	next := func(who octo.Identity, q octo.EventQuery, n int) (apps []octo.Name) {
		q.Follow = true
		for e, err := range w.Events(ctx, who, q) {
			require.NoError(t, err)
			if apps = append(apps, e.App); len(apps) == n {
				break
			}
		}
		return apps
	}
	require.Equal(t, []octo.Name{"hello", "other"}, next(admin, octo.EventQuery{}, 2))
	require.Equal(t, []octo.Name{"hello"}, next(ann, octo.EventQuery{}, 1))
	require.Equal(t, []octo.Name{"other"}, next(admin, octo.EventQuery{App: "other"}, 1))
	require.Equal(t, []octo.Name{"other"}, next(admin, octo.EventQuery{Tail: 1}, 1))
	for range w.Events(ctx, octo.Identity{User: "eve"}, octo.EventQuery{}) {
		t.Fatal("eve sees an event")
	}
}

func TestReleases(t *testing.T) {
	w := newWorld(t)
	docs := store.Docs[octo.Release]{Store: w.store, Prefix: store.ReleasesPrefix}
	for n := 1; n <= 12; n++ {
		_, err := docs.Create(t.Context(), store.ReleaseName("hello", n), octo.Release{App: "hello", Number: n})
		require.NoError(t, err)
	}
	list, err := w.Releases(t.Context(), "hello")
	require.NoError(t, err)
	require.Equal(t, 12, list[0].Number)
	require.Equal(t, 1, list[11].Number)
	_, err = w.Release(t.Context(), "hello", 13)
	require.ErrorIs(t, err, octo.ErrNotFound)
	list, err = w.Releases(t.Context(), "hell")
	require.NoError(t, err)
	require.Empty(t, list)
}
