package secret_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/secret"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// open returns an empty store, and the place of a node's key.
func open(t *testing.T) (store.Store, string) {
	dir := t.TempDir()
	s, err := bolt.Open(filepath.Join(dir, "octo.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, filepath.Join(dir, "node.key")
}

func TestBox_OpensWhatItSealed(t *testing.T) {
	s, file := open(t)
	ctx := t.Context()
	b := secret.New(secret.Config{Store: s, Node: "a", File: file})
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{0, 0xff}, 200_000)} {
		sealed, err := b.Seal(ctx, plain, "one")
		require.NoError(t, err)
		if len(plain) > 1 { // one byte may be anywhere
			require.False(t, bytes.Contains(sealed, plain))
		}
		require.Less(t, len(sealed), len(plain)+64)
		// Another process finds the same keys.
		got, err := secret.New(secret.Config{Store: s, Node: "a", File: file}).Open(ctx, sealed, "one")
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))

		_, err = b.Open(ctx, sealed, "two")
		require.ErrorIs(t, err, octo.ErrInvalid, "it is about something else")
		for _, i := range []int{9, 20, len(sealed) - 1} {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			_, err = b.Open(ctx, changed, "one")
			require.ErrorIs(t, err, octo.ErrInvalid, "byte %d", i)
		}
		_, err = b.Open(ctx, sealed[:len(sealed)-1], "one")
		require.Error(t, err)
	}
	for _, rubbish := range []string{"", "\x01", "rubbish", "\x02" + string(make([]byte, 100))} {
		_, err := b.Open(ctx, []byte(rubbish), "one")
		require.ErrorIs(t, err, octo.ErrInvalid)
	}
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode())
}

// What is wrong is said, and is no longer wrong when the right file is back.
func TestBox_NeedsTheKeyOfTheNode(t *testing.T) {
	s, file := open(t)
	ctx := t.Context()
	b := secret.New(secret.Config{Store: s, Node: "a", File: file})
	sealed, err := b.Seal(ctx, []byte("x"), "one")
	require.NoError(t, err)
	good, err := os.ReadFile(file)
	require.NoError(t, err)

	elsewhere, foreign := open(t)
	other := secret.New(secret.Config{Store: elsewhere, Node: "a", File: foreign})
	require.NoError(t, other.Check(ctx))
	strange, err := os.ReadFile(foreign)
	require.NoError(t, err)

	again := secret.New(secret.Config{Store: s, Node: "a", File: file})
	fails := func(prepare func(), words string) {
		t.Helper()
		prepare()
		for _, err := range []error{again.Check(ctx), second(again.Open(ctx, sealed, "one")), second(again.Seal(ctx, nil, "one"))} {
			require.ErrorIs(t, err, octo.ErrUnavailable)
			require.ErrorContains(t, err, words)
			require.NotContains(t, err.Error(), string(bytes.TrimSpace(good[len(good)-20:])))
		}
	}
	write := func(text []byte) func() {
		return func() { require.NoError(t, os.WriteFile(file, text, 0o600)) }
	}
	fails(func() { require.NoError(t, os.Remove(file)) }, "is gone")
	_, err = os.Stat(file)
	require.ErrorIs(t, err, os.ErrNotExist, "a new key would be of no use")
	fails(write(strange), "is not the key that the configuration of apps was sealed for")
	fails(write([]byte("# nothing\n")), "is not the key of a node")
	fails(write([]byte("rubbish!")), "is not base64")
	fails(write(append(good, good...)), "more than one")
	fails(func() {
		write(good)()
		require.NoError(t, os.Chmod(file, 0o644)) //nolint:gosec // that is what is wrong
	}, "others may read")
	require.NoError(t, os.Chmod(file, 0o600))
	got, err := again.Open(ctx, sealed, "one")
	require.NoError(t, err)
	require.Equal(t, "x", string(got))

	// Who has read it goes on without, but is told so.
	require.NoError(t, os.Remove(file))
	_, err = again.Open(ctx, sealed, "one")
	require.NoError(t, err)
	require.ErrorContains(t, again.Check(ctx), "is gone")

	_, err = other.Open(ctx, sealed, "one")
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "another data key")
}

// A key that is lost for good can be given up, along with what was sealed with it.
func TestBox_Renew(t *testing.T) {
	s, file := open(t)
	ctx := t.Context()
	first := secret.New(secret.Config{Store: s, Node: "a", File: file})
	sealed, err := first.Seal(ctx, []byte("x"), "one")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("new\n"), 0o600))
	require.ErrorContains(t, first.Check(ctx), "when octo starts again")

	for range 2 { // and only once
		b := secret.New(secret.Config{Store: s, Node: "a", File: file})
		_, err = b.Open(ctx, sealed, "one")
		require.ErrorIs(t, err, octo.ErrUnavailable)
		require.ErrorContains(t, err, "another data key")
		require.NoError(t, b.Check(ctx))
	}
	b := secret.New(secret.Config{Store: s, Node: "a", File: file})
	again, err := b.Seal(ctx, []byte("y"), "one")
	require.NoError(t, err)
	got, err := secret.New(secret.Config{Store: s, Node: "a", File: file}).Open(ctx, again, "one")
	require.NoError(t, err)
	require.Equal(t, "y", string(got))

	_, err = s.Put(ctx, store.DataKeysPrefix+"b", []byte("{}"), store.Absent)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("new"), 0o600))
	require.ErrorContains(t, secret.New(secret.Config{Store: s, Node: "a", File: file}).Check(ctx), "other nodes have the data key")
}

// A node that was not given the data key does not make another one, which would shut
// the others out.
func TestBox_NeverMakesASecondDataKey(t *testing.T) {
	s, file := open(t)
	ctx := t.Context()
	require.NoError(t, secret.New(secret.Config{Store: s, Node: "a", File: file}).Check(ctx))
	err := secret.New(secret.Config{Store: s, Node: "b", File: file + "-b"}).Check(ctx)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "sealed for node a")
}

// Two that begin at once agree on one key.
func TestBox_BeginsOnce(t *testing.T) {
	s, file := open(t)
	b := secret.New(secret.Config{Store: s, Node: "a", File: file})
	sealed := make(chan error, 8)
	for range cap(sealed) {
		go func() { // ends with its one seal, which is received below
			out, err := secret.New(secret.Config{Store: s, Node: "a", File: file}).Seal(context.Background(), []byte("x"), "one")
			sealed <- errors.Join(err, second(b.Open(context.Background(), out, "one")))
		}()
	}
	for range cap(sealed) {
		require.NoError(t, <-sealed)
	}
}

func second(_ []byte, err error) error { return err }
