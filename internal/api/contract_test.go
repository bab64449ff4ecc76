package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
	"github.com/octohost/octohost/internal/octo"
)

func TestClient_TellsWhoItIs(t *testing.T) {
	throughDoors(t, alice, apitest.New().Config, func(t *testing.T, c *api.Client) {
		about, err := c.About(t.Context())
		require.NoError(t, err)
		require.Equal(t, api.About{Version: "v1.2.3", Identity: alice}, about)
	})
}

func TestClient_LifeOfAnApp(t *testing.T) {
	for name, open := range doors() {
		t.Run(name, func(t *testing.T) {
			w := apitest.New()
			c, ctx := open(t, w.Config(), admin), t.Context()

			created, err := c.CreateApp(ctx, "hello")
			require.NoError(t, err)
			require.Equal(t, octo.StateEmpty, created.State)
			_, err = c.CreateApp(ctx, "hello")
			require.ErrorIs(t, err, octo.ErrConflict)

			w.Deploy("hello", "1111111111", "alice")
			w.Deploy("hello", "2222222222", "alice")
			apps, err := c.Apps(ctx)
			require.NoError(t, err)
			require.Len(t, apps, 1)
			require.Equal(t, 2, apps[0].Release)

			var progress bytes.Buffer
			require.NoError(t, c.Rollback(ctx, "hello", 0, &progress))
			require.Equal(t, "rolling back to v1\nweb.1 is healthy\n", progress.String())
			releases, err := c.Releases(ctx, "hello")
			require.NoError(t, err)
			require.Len(t, releases, 3)
			require.Equal(t, "Rollback to v1", releases[0].Description)
			r, err := c.Release(ctx, "hello", 3)
			require.NoError(t, err)
			require.Equal(t, releases[0], r)

			instances, err := c.Instances(ctx, "hello")
			require.NoError(t, err)
			require.Equal(t, octo.InstanceID("hello.web.v3.1"), instances[0].ID)
			all, err := c.Instances(ctx, "")
			require.NoError(t, err)
			require.Equal(t, instances, all)

			progress.Reset()
			require.NoError(t, c.DestroyApp(ctx, "hello", &progress))
			require.Equal(t, "stopping 1 instances\nremoving image, repository and logs\n", progress.String())
			_, err = c.App(ctx, "hello")
			require.ErrorIs(t, err, octo.ErrNotFound)
			require.Equal(t, "no app named hello; list yours with: octo apps", err.Error())
		})
	}
}

func TestClient_Keys(t *testing.T) {
	for name, open := range doors() {
		t.Run(name, func(t *testing.T) {
			c, ctx := open(t, apitest.New().Config(), admin), t.Context()
			added, err := c.AddKey(ctx, octo.Admission{User: "alice", Admin: true, Line: publicKey(t)})
			require.NoError(t, err)
			require.True(t, added.Admin)
			_, err = c.AddKey(ctx, octo.Admission{User: "bob", Line: "rubbish"})
			require.ErrorIs(t, err, octo.ErrInvalid)

			keys, err := c.Keys(ctx)
			require.NoError(t, err)
			require.Equal(t, []octo.Key{added}, keys)

			require.ErrorIs(t, c.RemoveKey(ctx, "", "SHA256:a/b+c"), octo.ErrNotFound)
			require.NoError(t, c.RemoveKey(ctx, "", added.Fingerprint))
			keys, err = c.Keys(ctx)
			require.NoError(t, err)
			require.Empty(t, keys)
		})
	}
}

func TestClient_Access(t *testing.T) {
	for name, open := range doors() {
		t.Run(name, func(t *testing.T) {
			w := apitest.New()
			c, ctx := open(t, w.Config(), admin), t.Context()
			_, err := w.CreateApp(ctx, alice, "hello")
			require.NoError(t, err)
			grants, err := c.SetRole(ctx, "hello", "bob", octo.RoleViewer)
			require.NoError(t, err)
			require.Equal(t, []octo.Grant{{User: "alice", Role: octo.RoleOwner}, {User: "bob", Role: octo.RoleViewer}}, grants)
			_, err = c.SetRole(ctx, "hello", "bob", "king")
			require.ErrorIs(t, err, octo.ErrInvalid)
			grants, err = c.Transfer(ctx, "hello", "bob")
			require.NoError(t, err)
			require.Equal(t, []octo.Grant{{User: "bob", Role: octo.RoleOwner}, {User: "alice", Role: octo.RoleDeployer}}, grants)
			_, err = c.SetRole(ctx, "hello", "alice", "")
			require.NoError(t, err)
			grants, err = c.Access(ctx, "hello")
			require.NoError(t, err)
			require.Len(t, grants, 1)

			key, err := c.AddKey(ctx, octo.Admission{Line: publicKey(t), User: "ci", App: "hello"})
			require.NoError(t, err)
			require.Equal(t, "hello/ci", key.User)
			keys, err := c.DeployKeys(ctx, "hello")
			require.NoError(t, err)
			require.Equal(t, []octo.Key{key}, keys)
			require.NoError(t, c.RemoveKey(ctx, "hello", key.Fingerprint))
			users, err := c.Users(ctx)
			require.NoError(t, err)
			require.Empty(t, users)
		})
	}
}

// publicKey returns a line as in authorized_keys.
func publicKey(t *testing.T) string {
	public, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)).Public())
	require.NoError(t, err)
	return string(ssh.MarshalAuthorizedKey(public))
}

// A fingerprint may contain slashes, which must not become parts of the path.
func TestClient_FingerprintsArriveWhole(t *testing.T) {
	got := make(chan string, 1)
	cfg := apitest.New().Config()
	cfg.Keys = removedKeys{otherKeys: cfg.Keys, got: got}
	throughDoors(t, admin, func() api.Config { return cfg }, func(t *testing.T, c *api.Client) {
		for _, fingerprint := range []string{"SHA256:a/b+c=", "../x", "a b", "ü?&"} {
			require.NoError(t, c.RemoveKey(t.Context(), "", fingerprint))
			require.Equal(t, fingerprint, <-got)
		}
	})
}

// otherKeys are the methods that do not matter, under a name that hides none of them.
type otherKeys = api.Keys

type removedKeys struct {
	otherKeys
	got chan string
}

func (k removedKeys) RemoveKey(_ context.Context, _ octo.Identity, _ octo.Name, fingerprint string) error {
	k.got <- fingerprint
	return nil
}

func TestClient_OthersSeeAndDoNothing(t *testing.T) {
	w := apitest.New()
	_, err := w.CreateApp(t.Context(), admin, "hello")
	require.NoError(t, err)
	throughDoors(t, alice, w.Config, func(t *testing.T, c *api.Client) {
		ctx := t.Context()
		apps, err := c.Apps(ctx)
		require.NoError(t, err)
		require.Empty(t, apps)
		_, err = c.App(ctx, "hello")
		require.ErrorIs(t, err, octo.ErrNotFound)
		require.ErrorIs(t, c.DestroyApp(ctx, "hello", &bytes.Buffer{}), octo.ErrNotFound)
		require.ErrorIs(t, c.Rollback(ctx, "hello", 0, &bytes.Buffer{}), octo.ErrNotFound)
		_, err = c.AddKey(ctx, octo.Admission{})
		require.ErrorIs(t, err, octo.ErrDenied)
		_, err = c.Doctor(ctx)
		require.ErrorIs(t, err, octo.ErrDenied)
		for _, err = range c.Logs(ctx, "hello", octo.LogQuery{}) {
			require.ErrorIs(t, err, octo.ErrNotFound)
		}
	})
}

func TestClient_LogsSelect(t *testing.T) {
	start := time.Date(2026, 11, 22, 17, 0, 0, 123456789, time.UTC)
	w, now := apitest.New(), start
	w.Now = func() time.Time { return now }
	_, err := w.CreateApp(t.Context(), admin, "hello")
	require.NoError(t, err)
	w.Deploy("hello", "1111111", "alice")
	for _, text := range []string{"one", "two", strings.Repeat("long ", 10_000)} {
		now = now.Add(time.Second)
		w.Print("hello", text)
	}
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		require.Equal(t, []string{"two", strings.Repeat("long ", 10_000)}, texts(t, c, octo.LogQuery{Tail: 2}))
		require.Len(t, texts(t, c, octo.LogQuery{}), 4)
		require.Len(t, texts(t, c, octo.LogQuery{Since: start.Add(time.Second)}), 3)
		require.Len(t, texts(t, c, octo.LogQuery{Since: start.Add(time.Second + 1)}), 2)
		for _, err := range c.Logs(t.Context(), "hello", octo.LogQuery{Tail: api.MaxTail + 1}) {
			require.ErrorIs(t, err, octo.ErrInvalid)
		}
	})
}

func texts(t *testing.T, c *api.Client, q octo.LogQuery) []string {
	var out []string
	for line, err := range c.Logs(t.Context(), "hello", q) {
		require.NoError(t, err)
		out = append(out, line.Text)
	}
	return out
}

func TestClient_FollowsLiveAndEndsWithTheReader(t *testing.T) {
	w := apitest.New()
	_, err := w.CreateApp(t.Context(), admin, "hello")
	require.NoError(t, err)
	w.Deploy("hello", "1111111", "alice")
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		words := []string{"more", "and more"}
		var got []string
		for line, err := range c.Logs(ctx, "hello", octo.LogQuery{Tail: 1, Follow: true}) {
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				break
			}
			if got = append(got, line.Text); len(got) > len(words) {
				cancel()
				continue
			}
			w.Print("hello", words[len(got)-1]) // only now: it can only arrive live
		}
		require.Equal(t, words, got[1:])
		require.Eventually(t, func() bool { return w.Followers() == 0 }, 5*time.Second, time.Millisecond)

		for range c.Events(t.Context(), octo.EventQuery{Follow: true}) {
			break // without a cancelled context
		}
		require.Eventually(t, func() bool { return w.Followers() == 0 }, 5*time.Second, time.Millisecond)
	})
}

func TestClient_Events(t *testing.T) {
	w := apitest.New()
	for _, app := range []octo.Name{"hello", "other"} {
		_, err := w.CreateApp(t.Context(), admin, app)
		require.NoError(t, err)
	}
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		count := func(q octo.EventQuery) (n int) {
			for _, err := range c.Events(t.Context(), q) {
				require.NoError(t, err)
				n++
			}
			return n
		}
		require.Equal(t, 2, count(octo.EventQuery{}))
		require.Equal(t, 1, count(octo.EventQuery{App: "other"}))
		require.Equal(t, 1, count(octo.EventQuery{Tail: 1}))
	})
}

func TestClient_Doctor(t *testing.T) {
	w := apitest.New()
	w.Find(octo.Finding{Check: "disk", Level: octo.FindingProblem, Message: "full", Remedy: "empty it", Took: time.Second})
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		found, err := c.Doctor(t.Context())
		require.NoError(t, err)
		require.True(t, slices.Equal(w.Findings(), found))
	})
}
