package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// An engine that restarts is soon back. One that stays away is said so, and what it
// ran is not taken for healthy.
func TestAgent_EngineStaysAway(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		r.fake.Lose(false)
		after(engineGrace - time.Second)
		require.Equal(r.t, allThree, r.phases(), "it may be back in a moment")
		after(10 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 unhealthy", "hello.web.v1.2 unhealthy", "hello.worker.v1.1 unhealthy"}, r.phases())
		require.Contains(r.t, r.instance("hello.web.v1.1").Note, "engine does not answer")
		r.fake.Return()
		after(4 * time.Second)
		require.Equal(r.t, allThree, r.phases())
		require.Empty(r.t, r.instance("hello.web.v1.1").Note)
		require.Empty(r.t, r.instance("hello.worker.v1.1").Note)
	})
}

// An engine that is stopped takes its containers along before it goes. They did not
// fail, and are the same ones afterwards.
func TestAgent_EngineTakesItsContainersAlong(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		before := r.container("hello.web.v1.1")
		for range 3 { // and those that are started again meanwhile
			r.fake.Crash(before.ID, 0)
			synctest.Wait()
		}
		r.fake.Lose(true)
		after(10 * time.Second)
		in := r.instance("hello.web.v1.1")
		require.Nil(r.t, in.Failure)
		require.Equal(r.t, octo.PhaseStarting, in.Phase)
		r.fake.Return()
		after(4 * time.Second)
		require.Equal(r.t, allThree, r.phases())
		require.Equal(r.t, before.ID, r.container("hello.web.v1.1").ID)
	})
}

// While the engine is away nothing can be asked, so that time does not count.
func TestAgent_DeadlineBeginsAnewWhenTheEngineIsBack(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.setBehaviour(never)
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(50 * time.Second)
		r.fake.Lose(false)
		after(time.Minute)
		r.fake.Return()
		after(50 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 starting"}, r.phases())
		r.setBehaviour(nil)
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
	})
}
