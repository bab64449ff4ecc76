package ring_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/ring"
)

const benchMax = 50 << 20

// BenchmarkAppend appends records of 120 bytes, so many at a time.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100, 500} {
		for _, sync := range []bool{false, true} {
			b.Run(fmt.Sprintf("batch=%d,sync=%v", n, sync), func(b *testing.B) {
				l := open(b, ring.Config{Dir: b.TempDir(), Max: benchMax, Sync: sync})
				batch := make([][]byte, n)
				for i := range batch {
					batch[i] = bytes.Repeat([]byte{'x'}, 120)
				}
				b.SetBytes(int64(n) * 120)
				b.ReportAllocs()
				for b.Loop() {
					if err := l.Append(time.Now(), batch...); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// full returns a log of 50 MB.
func full(b *testing.B) *ring.Log {
	l := open(b, ring.Config{Dir: b.TempDir(), Max: benchMax})
	batch := make([][]byte, 1000)
	for i := range batch {
		batch[i] = bytes.Repeat([]byte{'x'}, 120)
	}
	for i := range 500 {
		require.NoError(b, l.Append(second(i), batch...))
	}
	return l
}

// BenchmarkTail reads the last 100 of 50 MB.
func BenchmarkTail(b *testing.B) {
	l := full(b)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range l.Backward(l.End()) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 100 {
				break
			}
		}
	}
}

// BenchmarkScan reads all 50 MB.
func BenchmarkScan(b *testing.B) {
	l := full(b)
	b.SetBytes(l.Size())
	for b.Loop() {
		for _, err := range l.Forward(ring.Position{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkSeek finds a time in 50 MB.
func BenchmarkSeek(b *testing.B) {
	l := full(b)
	for b.Loop() {
		if _, err := l.Seek(second(400)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a log of 50 MB; a thousand are kept in memory.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l := open(b, ring.Config{Dir: dir, Max: benchMax})
	require.NoError(b, l.Append(second(1), make([]byte, 120)))
	for b.Loop() {
		open(b, ring.Config{Dir: dir, Max: benchMax})
	}
}

// BenchmarkThousand is what a thousand logs cost, each with a record.
func BenchmarkThousand(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		root := b.TempDir()
		logs := make([]*ring.Log, 1000)
		for i := range logs {
			logs[i] = open(b, ring.Config{Dir: filepath.Join(root, fmt.Sprint(i)), Max: benchMax})
			require.NoError(b, logs[i].Append(second(1), make([]byte, 120)))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1000, "B/log")
		runtime.KeepAlive(logs)
	}
}
