package bolt_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// smallDisk mounts a file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("octohost-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// fill takes all the space that is left on a disk.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
	return path
}

func TestPut_OnAFullDiskChangesNothing(t *testing.T) {
	dir := smallDisk(t)
	ctx, path := context.Background(), filepath.Join(dir, "octo.db")
	s, err := bolt.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	first, err := s.Put(ctx, "before", []byte("1"), store.Absent)
	require.NoError(t, err)
	ballast := fill(t, dir)

	stored := 0
	for err == nil {
		stored++
		_, err = s.Put(ctx, "many/"+strconv.Itoa(stored), bytes.Repeat([]byte{'x'}, 5000), store.Absent)
	}
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "no space left on device; free some space")
	_, err = s.Get(ctx, "many/"+strconv.Itoa(stored))
	require.ErrorIs(t, err, octo.ErrNotFound)
	require.NoError(t, holdOne(t, s, "leased"), "a lease needs no disk")

	require.NoError(t, os.Remove(ballast))
	_, err = s.Put(ctx, "before", []byte("2"), first)
	require.NoError(t, err, "the store works on when there is space again")
	require.NoError(t, s.Close())

	s, err = bolt.Open(path)
	require.NoError(t, err)
	entries, err := s.List(ctx, "")
	require.NoError(t, err)
	require.Len(t, entries, stored)
	require.Equal(t, "2", string(entries[0].Value))
}

func TestOpen_OnAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "octo.db")
	ballast := fill(t, dir)
	_, err := bolt.Open(path)
	require.ErrorIs(t, err, octo.ErrUnavailable)
	require.ErrorContains(t, err, "no space left on device")
	require.NoFileExists(t, path)

	require.NoError(t, os.Remove(ballast))
	s, err := bolt.Open(path)
	require.NoError(t, err)
	_, err = s.Put(context.Background(), "a", []byte("1"), store.Absent)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	fill(t, dir)
	s, err = bolt.Open(path)
	require.NoError(t, err, "what is stored must be readable even on a full disk")
	_, err = s.Get(context.Background(), "a")
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
