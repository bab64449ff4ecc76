package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// slowly is a program that takes its time to end.
func slowly(ctx context.Context, p *enginetest.FakeProcess) int {
	select {
	case <-p.Signals:
	case <-ctx.Done():
	}
	select {
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
	}
	return 0
}

func singletonWorker(r *octo.Release) { r.Processes[1].Singleton = true }

// Whatever the leader believes to know of the old copy, the new one starts when its
// container is gone.
func TestAgent_StartsASingletonWhenTheOtherIsGone(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{Program: slowly}, func(r *rig) {
		r.release(1, octo.Live, singletonWorker)
		r.release(2, octo.Pending, singletonWorker)
		r.run()
		r.want(process("worker", 1, 1))
		after(5 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())

		r.want(process("worker", 2, 1)) // without a word of the old one
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 running"}, r.names())
		after(time.Second)
		require.Equal(r.t, []string{"hello.worker.v2.1 running"}, r.names())
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v2.1 healthy"}, r.phases())
	})
}

// The old copy must be alone, too, when only its release says so.
func TestAgent_WaitsForWhatWasASingleton(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{Program: slowly}, func(r *rig) {
		r.release(1, octo.Live, singletonWorker)
		r.release(2, octo.Pending)
		r.run()
		r.want(process("worker", 1, 1))
		after(5 * time.Second)
		r.want(draining(process("worker", 1, 1)), process("worker", 2, 1), process("worker", 2, 2), web(2, 1))
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v2.1 running", "hello.worker.v1.1 running"}, r.names())
		after(4 * time.Second)
		synctest.Wait()
		require.Equal(r.t, []string{"hello.web.v2.1 running", "hello.worker.v2.1 running", "hello.worker.v2.2 running"}, r.names())
	})
}
