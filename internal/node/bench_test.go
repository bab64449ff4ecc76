package node

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// BenchmarkAgent_WantToAddress is what the agent adds to the time that an engine and
// an app take: from the write of want/<node> to a healthy instance with an address,
// on an engine that needs no time. It includes the store's write of want, which waits
// for the disk.
func BenchmarkAgent_WantToAddress(b *testing.B) {
	r := newRig(b, enginetest.FakeConfig{})
	r.release(1, octo.Live)
	r.run()
	<-r.agent.Ready()
	id := web(1, 1).Instance
	var write, address time.Duration
	for b.Loop() {
		began := time.Now()
		r.want(web(1, 1))
		write += time.Since(began)
		for {
			if _, ok := r.agent.Address(id); ok && r.instance(id).Phase == octo.PhaseHealthy {
				break
			}
			runtime.Gosched()
		}
		address += time.Since(began)
		r.want()
		for len(r.phases()) > 0 {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(write.Microseconds())/float64(b.N), "µs-write")
	b.ReportMetric(float64(address.Microseconds())/float64(b.N), "µs-healthy")
}

// BenchmarkAgent_Address is what the proxy pays for each request.
func BenchmarkAgent_Address(b *testing.B) {
	r := newRig(b, enginetest.FakeConfig{})
	r.release(1, octo.Live)
	r.want(web(1, 1))
	r.run()
	id := web(1, 1).Instance
	require.Eventually(b, func() bool { _, ok := r.agent.Address(id); return ok }, 10*time.Second, time.Millisecond)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = r.agent.Address(id)
		}
	})
}

// BenchmarkAgent_Thousand adopts 1,000 instances that run, as a restart of the daemon
// does, and says how much memory the agent then holds for them.
func BenchmarkAgent_Thousand(b *testing.B) {
	const many = 1000
	r := newRig(b, enginetest.FakeConfig{})
	r.blind = true
	r.release(1, octo.Live)
	as := make([]octo.Assignment, many)
	for i := range as {
		as[i] = web(1, i+1)
	}
	r.want(as...)
	r.run()
	r.awaitHealthy(b, many)
	var took time.Duration
	var held int64
	for b.Loop() {
		r.stop()
		before := heap()
		began := time.Now()
		r.run()
		<-r.agent.Ready()
		took += time.Since(began)
		r.awaitHealthy(b, many)
		held += heap() - before
	}
	b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms-adopted")
	b.ReportMetric(float64(held)/float64(b.N)/many, "B/instance")
}

func (r *rig) awaitHealthy(b *testing.B, many int) {
	b.Helper()
	require.Eventually(b, func() bool {
		list, _ := r.have()
		n := 0
		for _, i := range list {
			if i.Phase == octo.PhaseHealthy {
				n++
			}
		}
		return n == many
	}, 2*time.Minute, 10*time.Millisecond)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) + int64(m.StackInuse) //nolint:gosec // far below 2^63
}
