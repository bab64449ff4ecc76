package storetest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func entryCases() []testCase {
	return []testCase{
		{"NothingIsThereAtFirst", nothingAtFirst},
		{"WhatIsPutIsThere", putIsThere},
		{"ValueIsTakenOver", valueIsTakenOver},
		{"ListIsSortedAndKeepsToItsPrefix", listKeepsToPrefix},
		{"ValueOfAnySizeUpToTheLimit", valueSizes},
		{"ValueOfAnyBytes", valueBytes},
		{"BadKeysAreRefused", badKeys},
		{"BadPrefixesAreRefused", badPrefixes},
		{"GoodKeysAreTaken", goodKeys},
		{"CancelledContextIsAnError", cancelledContext},
	}
}

func nothingAtFirst(t *testing.T, s store.Store) {
	requireGone(t, s, "apps/a")
	require.Empty(t, list(t, s, ""))
	require.Empty(t, list(t, s, "apps/"))
}

func putIsThere(t *testing.T, s store.Store) {
	v := put(t, s, "apps/a", "1", store.Absent)
	e := get(t, s, "apps/a")
	require.Equal(t, "1", string(e.Value))
	require.Equal(t, v, e.Version)

	entries, err := s.List(context.Background(), "apps/")
	require.NoError(t, err)
	require.Equal(t, []store.Entry{e}, entries)

	v = put(t, s, "apps/a", "2", v)
	e = get(t, s, "apps/a")
	require.Equal(t, "2", string(e.Value))
	require.Equal(t, v, e.Version)
}

func valueIsTakenOver(t *testing.T, s store.Store) {
	ctx, value := context.Background(), []byte("before")
	_, err := s.Put(ctx, "durable", value, store.Absent)
	require.NoError(t, err)
	l := lease(t, s)
	require.NoError(t, l.Hold(ctx, "leased", value))
	copy(value, "AFTER!")
	require.Equal(t, "before", string(get(t, s, "durable").Value))
	require.Equal(t, "before", string(get(t, s, "leased").Value))
}

func listKeepsToPrefix(t *testing.T, s store.Store) {
	for _, key := range []string{"b/2", "a/b/c", "ab/1", "a/b", "a/a", "a-b/1", "b/10", "a", "aa", "a/ä"} {
		put(t, s, key, "v", store.Absent)
	}
	require.Equal(t, []string{"a/a=v", "a/b=v", "a/b/c=v", "a/ä=v"}, list(t, s, "a/"))
	require.Equal(t, []string{"a/b/c=v"}, list(t, s, "a/b/"))
	require.Equal(t, []string{"b/10=v", "b/2=v"}, list(t, s, "b/"))
	require.Empty(t, list(t, s, "a/a/"))
	require.Equal(t, []string{
		"a=v", "a-b/1=v", "a/a=v", "a/b=v", "a/b/c=v", "a/ä=v", "aa=v", "ab/1=v", "b/10=v", "b/2=v",
	}, list(t, s, ""))
}

func valueSizes(t *testing.T, s store.Store) {
	ctx := context.Background()
	for _, size := range []int{0, 1, 4095, 4096, 4097, store.MaxValue - 1, store.MaxValue} {
		value := bytes.Repeat([]byte{'x'}, size)
		_, err := s.Put(ctx, "durable", value, store.Any)
		require.NoError(t, err, "%d bytes", size)
		require.True(t, bytes.Equal(value, get(t, s, "durable").Value), "%d bytes", size)
	}
	big := make([]byte, store.MaxValue+1)
	_, err := s.Put(ctx, "durable", big, store.Any)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorIs(t, lease(t, s).Hold(ctx, "leased", big), octo.ErrInvalid)
	require.Len(t, get(t, s, "durable").Value, store.MaxValue)
	requireGone(t, s, "leased")
}

func valueBytes(t *testing.T, s store.Store) {
	value := make([]byte, 256)
	for i := range value {
		value[i] = byte(i)
	}
	put(t, s, "durable", string(value), store.Absent)
	require.Equal(t, value, get(t, s, "durable").Value)
}

func badKeys(t *testing.T, s store.Store) {
	ctx, l := context.Background(), lease(t, s)
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "a\nb", "a\x00", "a\x7f", "a\u0085", "\xff", strings.Repeat("k", store.MaxKey+1),
	} {
		_, err := s.Put(ctx, key, nil, store.Any)
		require.ErrorIs(t, err, octo.ErrInvalid, "put %q", key)
		_, err = s.Get(ctx, key)
		require.ErrorIs(t, err, octo.ErrInvalid, "get %q", key)
		require.ErrorIs(t, s.Delete(ctx, key, store.Any), octo.ErrInvalid, "delete %q", key)
		require.ErrorIs(t, l.Hold(ctx, key, nil), octo.ErrInvalid, "hold %q", key)
	}
	require.Empty(t, list(t, s, ""))
}

func badPrefixes(t *testing.T, s store.Store) {
	for _, prefix := range []string{"a", "/", "/a/", "a//", "../", "a\n/", "\xff/"} {
		_, err := s.List(context.Background(), prefix)
		require.ErrorIs(t, err, octo.ErrInvalid, "list %q", prefix)
		for _, err := range s.Watch(context.Background(), prefix) {
			require.ErrorIs(t, err, octo.ErrInvalid, "watch %q", prefix)
			break
		}
	}
}

func goodKeys(t *testing.T, s store.Store) {
	for _, key := range []string{
		"a", "apps/a", "releases/a/00000001", "keys/SHA256:AB+cd_-=", "with space", "ünï/cödé", "a/...", "a?b#c%2Fd&e", strings.Repeat("k", store.MaxKey),
	} {
		v := put(t, s, key, key, store.Absent)
		require.Equal(t, key, string(get(t, s, key).Value))
		require.NoError(t, s.Delete(context.Background(), key, v), "delete %q", key)
		requireGone(t, s, key)
	}
}

func cancelledContext(t *testing.T, s store.Store) {
	l := lease(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Put(ctx, "a", nil, store.Any)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Get(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.List(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Delete(ctx, "a", store.Any), context.Canceled)
	_, err = s.Lease(ctx, ttl)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, l.Hold(ctx, "b", nil), context.Canceled)
	require.Empty(t, list(t, s, ""))
}
