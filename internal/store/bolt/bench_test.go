package bolt_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// benchKeys is how many keys are there, each with a value of benchValue bytes: the
// documents of some thousand apps.
const (
	benchKeys  = 10_000
	benchValue = 1000
)

func benchKey(i int) string { return fmt.Sprintf("apps/%06d", i%benchKeys) }

// fullFile returns the path of a store with all keys.
func fullFile(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "octo.db")
	require.NoError(b, open(b, path).Close())
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(b, err)
	require.NoError(b, db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket([]byte("meta")).Put([]byte("limit"), []byte{0, 0, 0, 0, 0, 0, 0, 1}); err != nil {
			return err
		}
		for i := range benchKeys {
			value := append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, benchValue)...)
			if err := tx.Bucket([]byte("entries")).Put([]byte(benchKey(i)), value); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(b, db.Close())
	return path
}

func openFull(b *testing.B) *bolt.Store { return open(b, fullFile(b)) }

func BenchmarkPut(b *testing.B) {
	ctx, value := context.Background(), make([]byte, benchValue)
	b.Run("store", func(b *testing.B) {
		s := openFull(b)
		for i := 0; b.Loop(); i++ {
			_, err := s.Put(ctx, benchKey(i*7919), value, store.Any)
			require.NoError(b, err)
		}
	})
	b.Run("raw", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, nil)
		require.NoError(b, err)
		require.NoError(b, db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucket([]byte("b"))
			for i := 0; err == nil && i < benchKeys; i++ {
				err = bucket.Put([]byte(benchKey(i)), value)
			}
			return err
		}))
		for i := 0; b.Loop(); i++ {
			require.NoError(b, db.Update(func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("b")).Put([]byte(benchKey(i*7919)), value)
			}))
		}
		require.NoError(b, db.Close())
	})
	b.Run("store-50-at-once", func(b *testing.B) {
		s := openFull(b)
		b.SetParallelism(25) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				_, err := s.Put(ctx, benchKey(i*7919), value, store.Any)
				require.NoError(b, err)
			}
		})
	})
	b.Run("leased", func(b *testing.B) {
		s := openFull(b)
		l, err := s.Lease(ctx, 1)
		require.NoError(b, err)
		for b.Loop() {
			require.NoError(b, l.Hold(ctx, "have/node", value))
		}
	})
}

func BenchmarkGet(b *testing.B) {
	ctx := context.Background()
	b.Run("store", func(b *testing.B) {
		s := openFull(b)
		for i := 0; b.Loop(); i++ {
			_, err := s.Get(ctx, benchKey(i*7919))
			require.NoError(b, err)
		}
	})
	b.Run("raw", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "raw.db")
		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(b, err)
		require.NoError(b, db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucket([]byte("b"))
			for i := 0; err == nil && i < benchKeys; i++ {
				err = bucket.Put([]byte(benchKey(i)), make([]byte, benchValue))
			}
			return err
		}))
		for i := 0; b.Loop(); i++ {
			require.NoError(b, db.View(func(tx *bbolt.Tx) error {
				_ = append([]byte(nil), tx.Bucket([]byte("b")).Get([]byte(benchKey(i*7919)))...)
				return nil
			}))
		}
		require.NoError(b, db.Close())
	})
	b.Run("list-10000", func(b *testing.B) {
		s := openFull(b)
		for b.Loop() {
			_, err := s.List(ctx, "apps/")
			require.NoError(b, err)
		}
	})
}

// BenchmarkOpen is how long the daemon waits for its store at start.
func BenchmarkOpen(b *testing.B) {
	path := fullFile(b)
	for b.Loop() {
		s, err := bolt.Open(path)
		require.NoError(b, err)
		require.NoError(b, s.Close())
	}
}

// BenchmarkWatchLatency is the time from the begin of a Put, or a Hold, until a
// watcher has the new state. What Put takes beyond Hold is the disk.
func BenchmarkWatchLatency(b *testing.B) {
	for _, leased := range []bool{false, true} {
		b.Run("leased="+strconv.FormatBool(leased), func(b *testing.B) {
			ctx, s := context.Background(), openFull(b)
			l, err := s.Lease(ctx, 1)
			require.NoError(b, err)
			seen := make(chan struct{})
			ctx, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() { // ends with ctx
				defer close(ended)
				for range s.Watch(ctx, "have/") {
					seen <- struct{}{}
				}
			}()
			<-seen
			for b.Loop() {
				if leased {
					err = l.Hold(ctx, "have/node", nil)
				} else {
					_, err = s.Put(ctx, "have/durable", nil, store.Any)
				}
				require.NoError(b, err)
				<-seen
			}
			cancel()
			<-ended
		})
	}
}
