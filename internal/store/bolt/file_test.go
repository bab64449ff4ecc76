package bolt_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

func TestOpen_KeepsEverythingButLeases(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "octo.db")
	s := open(t, path)
	want := map[string]store.Version{}
	for _, key := range []string{"b", "a/1", "a/2", "gone"} {
		v, err := s.Put(ctx, key, []byte("value of "+key), store.Absent)
		require.NoError(t, err)
		want[key] = v
	}
	require.NoError(t, s.Delete(ctx, "gone", store.Any))
	delete(want, "gone")
	require.NoError(t, holdOne(t, s, "leased"))
	require.NoError(t, s.Close())

	entries, err := open(t, path).List(ctx, "")
	require.NoError(t, err)
	got := map[string]store.Version{}
	for _, e := range entries {
		require.Equal(t, "value of "+e.Key, string(e.Value))
		got[e.Key] = e.Version
	}
	require.Equal(t, want, got)
}

func holdOne(t *testing.T, s *bolt.Store, key string) error {
	t.Helper()
	l, err := s.Lease(context.Background(), time.Minute)
	require.NoError(t, err)
	return l.Hold(context.Background(), key, []byte("held"))
}

// A version may be all that somebody kept over a restart: it must not fit anything
// that was written since.
func TestOpen_NeverGivesAVersionOutTwice(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "octo.db")
	var last store.Version
	for range 5 {
		s := open(t, path)
		v, err := s.Put(ctx, "durable", nil, store.Any)
		require.NoError(t, err)
		require.Greater(t, v, last)
		require.NoError(t, holdOne(t, s, "leased"))
		e, err := s.Get(ctx, "leased")
		require.NoError(t, err)
		require.Greater(t, e.Version, v)
		last = e.Version
		require.NoError(t, s.Delete(ctx, "durable", v))
		require.NoError(t, s.Close())
	}
}

func TestOpen_CreatesAFileForThisUserOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octo.db")
	open(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{path}, names)
	hidden, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	require.NoError(t, err)
	require.Empty(t, hidden)
}

func TestOpen_RefusesASecondOpener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octo.db")
	first := open(t, path)
	begin := time.Now()
	_, err := bolt.Open(path)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "another octo uses "+path)
	require.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, first.Close())
	open(t, path)
}

func TestOpen_ExplainsWhatTheSystemRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing", "octo.db"), dir} {
		_, err := bolt.Open(path)
		require.ErrorIs(t, err, octo.ErrUnavailable)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "damaged")
	}
}

// filled returns the bytes of a store with some hundred entries.
func filled(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "octo.db")
	s := open(t, path)
	for i := range 300 {
		_, err := s.Put(context.Background(), "apps/"+strconv.Itoa(i), []byte(strings.Repeat("value", 40)), store.Any)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func TestOpen_LeavesADamagedFileAsItIs(t *testing.T) {
	whole := filled(t)
	page := os.Getpagesize()
	zeroed := func(from, to int) []byte {
		b := append([]byte{}, whole...)
		clear(b[from:to])
		return b
	}
	for name, content := range map[string][]byte{
		"empty":               {},
		"one byte":            {0},
		"text":                []byte(strings.Repeat("this is no store\n", 5000)),
		"head only":           whole[:page],
		"heads only":          whole[:2*page],
		"cut in half":         whole[:len(whole)/2],
		"zeroes":              zeroed(0, len(whole)),
		"without its heads":   zeroed(0, 2*page),
		"without its entries": zeroed(2*page, len(whole)),
		"second half zeroed":  zeroed(len(whole)/2, len(whole)),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "octo.db")
			require.NoError(t, os.WriteFile(path, content, 0o600))
			_, err := bolt.Open(path)
			require.ErrorIs(t, err, octo.ErrUnavailable)
			require.ErrorContains(t, err, "the store "+path+" is damaged: ")
			require.ErrorContains(t, err, "put a backup in its place")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, content, after)
		})
	}
}

// meddle changes a store's file behind its back.
func meddle(t *testing.T, path string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
}

func TestOpen_RefusesWhatItDidNotWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(tx *bbolt.Tx) error
		says   string
	}{
		"newer format": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, 2))
		}, "newer octo"},
		"another program's": {func(tx *bbolt.Tx) error {
			return tx.DeleteBucket([]byte("meta"))
		}, "not a store of octohost"},
		"head without format": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("meta")).Delete([]byte("format"))
		}, "damaged"},
		"entry without version": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("entries")).Put([]byte("apps/a"), []byte("short"))
		}, `entry "apps/a" is not readable`},
		"version from the future": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("entries")).Put([]byte("apps/a"), binary.BigEndian.AppendUint64(nil, 1<<60))
		}, `entry "apps/a" is not readable`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "octo.db")
			require.NoError(t, open(t, path).Close())
			meddle(t, path, tc.change)
			_, err := bolt.Open(path)
			require.ErrorIs(t, err, octo.ErrUnavailable)
			require.ErrorContains(t, err, tc.says)
		})
	}
}
