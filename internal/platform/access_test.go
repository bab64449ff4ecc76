package platform_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func (w *world) addKey(who octo.Identity, wish octo.Admission) octo.Key {
	w.t.Helper()
	key, err := w.AddKey(w.t.Context(), who, wish)
	require.NoError(w.t, err)
	return key
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	first := w.addKey(admin, octo.Admission{Line: publicKey(t, "Ann.B@laptop")})
	require.Equal(t, "ann-b", first.User)
	require.True(t, first.Admin, "somebody must be able to add the second")

	line := publicKey(t, "x")
	second := w.addKey(admin, octo.Admission{User: "bob", Line: line})
	require.False(t, second.Admin)
	_, err := w.AddKey(t.Context(), admin, octo.Admission{User: "eve", Line: line})
	require.ErrorIs(t, err, octo.ErrConflict)
	for _, bad := range []octo.Admission{
		{User: "eve", Line: ""},
		{User: "eve", Line: "ssh-ed25519 nonsense"},
		{User: "eve", Line: "command=\"x\" " + publicKey(t, "y")},
		{User: "Eve;", Line: publicKey(t, "z")},
		{User: "hello/ci", Line: publicKey(t, "z")},
		{Line: publicKey(t, "nobody")},
		{User: "eve", Line: publicKey(t, "z"), Expires: time.Now().Add(-time.Minute)},
		{User: "ci", App: "hello", Admin: true, Line: publicKey(t, "z")},
	} {
		_, err = w.AddKey(t.Context(), admin, bad)
		require.ErrorIs(t, err, octo.ErrInvalid, "%+v", bad)
	}

	got, err := w.Key(t.Context(), second.Fingerprint)
	require.NoError(t, err)
	require.Equal(t, second, got)
	require.ErrorIs(t, w.RemoveKey(t.Context(), admin, "", first.Fingerprint), octo.ErrConflict, "the last admin stays")
	require.NoError(t, w.RemoveKey(t.Context(), admin, "", second.Fingerprint))
	require.ErrorIs(t, w.RemoveKey(t.Context(), admin, "", second.Fingerprint), octo.ErrNotFound)
	keys, err := w.Keys(t.Context(), admin)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NoError(t, w.Admitted(t.Context()))
}

func TestDeployKeys(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	w.create(bob, "other")
	line := publicKey(t, "x")
	_, err := w.AddKey(t.Context(), admin, octo.Admission{App: "nothing", User: "ci", Line: line})
	require.ErrorIs(t, err, octo.ErrNotFound)
	ci := w.addKey(ann, octo.Admission{App: "hello", User: "ci", Line: line})
	require.Equal(t, "hello/ci", ci.User)
	require.False(t, ci.Admin, "the first key of all is no person's")
	require.True(t, w.addKey(admin, octo.Admission{User: "ann", Line: publicKey(t, "x")}).Admin, "this one is")

	_, err = w.AddKey(t.Context(), bob, octo.Admission{App: "other", User: "ci", Line: line})
	require.ErrorIs(t, err, octo.ErrConflict)
	require.NotContains(t, err.Error(), "hello", "whose key it is, is not bob's business")
	require.ErrorIs(t, w.RemoveKey(t.Context(), bob, "other", ci.Fingerprint), octo.ErrNotFound)

	for who, want := range map[octo.Identity]int{ann: 2, bob: 0, admin: 2, ci.Identity(""): 1, {User: "eve"}: 0} {
		keys, err := w.Keys(t.Context(), who)
		require.NoError(t, err)
		require.Len(t, keys, want, who.User)
	}
	keys, err := w.DeployKeys(t.Context(), "hello")
	require.NoError(t, err)
	require.Equal(t, []octo.Key{ci}, keys)

	apps, err := w.Apps(t.Context(), ci.Identity(""))
	require.NoError(t, err)
	require.Len(t, apps, 1)

	docs := store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
	_, err = docs.Update(t.Context(), "hello", func(a *octo.App) error { a.Destroying = true; return nil })
	require.NoError(t, err)
	_, err = w.AddKey(t.Context(), ann, octo.Admission{App: "hello", User: "late", Line: publicKey(t, "x")})
	require.ErrorIs(t, err, octo.ErrNotFound, "it could open the next app of that name")
}

// Every request asks whether the key that somebody came in with still opens anything.
func TestAuthorize_LooksAtTheKey(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	docs := store.Docs[octo.Key]{Store: w.store, Prefix: store.KeysPrefix}
	put := func(k octo.Key) {
		_, err := docs.Replace(t.Context(), "SHA256:x", k, store.Any)
		require.NoError(t, err)
	}
	key := octo.Key{Fingerprint: "SHA256:x", User: "ann", Added: time.Now()}
	who := key.Identity("192.0.2.1")
	may := func() error { return w.Authorize(t.Context(), who, octo.ActionAppRead, "hello") }
	require.ErrorIs(t, may(), octo.ErrDenied, "it is not there")
	put(key)
	require.NoError(t, may())
	key.Expires = time.Now().Add(time.Hour)
	put(key)
	require.NoError(t, may())
	key.Expires = time.Now()
	put(key)
	require.ErrorIs(t, may(), octo.ErrDenied)
	require.ErrorContains(t, may(), "your key expired on ")
	for _, other := range []octo.Key{
		{Fingerprint: "SHA256:x", User: "bob"}, {Fingerprint: "SHA256:x", User: "ann", Admin: true}, {Fingerprint: "SHA256:x", User: "ann", App: "hello"},
	} {
		put(other)
		require.ErrorIs(t, may(), octo.ErrDenied, "it is another's now")
	}
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.create(ann, "hello")
	w.addKey(admin, octo.Admission{User: "bob", Line: publicKey(t, "x")})
	ctx := t.Context()
	grants, err := w.SetRole(ctx, ann, "hello", "bob", octo.RoleViewer)
	require.NoError(t, err)
	require.Equal(t, []octo.Grant{{User: "ann", Role: octo.RoleOwner}, {User: "bob", Role: octo.RoleViewer, Keys: 1}}, grants)
	require.NoError(t, w.Authorize(ctx, bob, octo.ActionAppRead, "hello"))
	require.ErrorIs(t, w.Authorize(ctx, bob, octo.ActionAppChange, "hello"), octo.ErrDenied)

	_, err = w.SetRole(ctx, ann, "hello", "ann", octo.RoleViewer)
	require.ErrorIs(t, err, octo.ErrConflict)
	_, err = w.SetRole(ctx, ann, "hello", "eve", "")
	require.ErrorIs(t, err, octo.ErrNotFound)
	require.ErrorContains(t, err, "eve has no role on hello")
	_, err = w.SetRole(ctx, ann, "hello", "hello/ci", octo.RoleOwner)
	require.ErrorIs(t, err, octo.ErrInvalid, "a deploy key is nobody")
	_, err = w.SetRole(ctx, ann, "nothing", "bob", octo.RoleOwner)
	require.Equal(t, octo.NoSuchApp("nothing"), err)
	_, err = w.Transfer(ctx, ann, "nothing", "bob")
	require.Equal(t, octo.NoSuchApp("nothing"), err)

	grants, err = w.Transfer(ctx, ann, "hello", "bob")
	require.NoError(t, err)
	require.Equal(t, []octo.Grant{{User: "bob", Role: octo.RoleOwner, Keys: 1}, {User: "ann", Role: octo.RoleDeployer}}, grants)
	_, err = w.SetRole(ctx, bob, "hello", "ann", "")
	require.NoError(t, err)
	require.ErrorIs(t, w.Authorize(ctx, ann, octo.ActionAppRead, "hello"), octo.ErrNotFound)

	users, err := w.Users(ctx)
	require.NoError(t, err)
	require.Equal(t, []octo.User{{Name: "bob", Admin: true, Keys: 1, Owns: []octo.Name{"hello"}, Roles: map[octo.Name]octo.Role{}}}, users)
}
