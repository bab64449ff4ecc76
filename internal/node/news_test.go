package node

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// An engine that ends takes its containers along first. That is not told as if the app
// had ended by itself.
func TestAgent_AnEngineThatEndsIsToBlame(t *testing.T) {
	ending := false
	refuse := func(engine.Spec) error {
		if ending {
			return errors.New("error creating overlay mount")
		}
		return nil
	}
	inBubble(t, enginetest.FakeConfig{StartError: refuse}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1), web(1, 2))
		r.run()
		after(time.Minute)
		ending = true
		r.fake.Crash(r.container("hello.web.v1.1").ID, 0)
		after(10 * time.Second) // it waits for the other container
		r.fake.Crash(r.container("hello.web.v1.2").ID, 143)
		after(time.Second)
		require.Empty(r.t, r.recorded())
		r.fake.Lose(false)
		after(time.Second)
		ending = false
		r.fake.Return()
		after(10 * time.Second)
		var down []string
		for _, e := range r.told() {
			if e.Kind == octo.EventInstanceDown {
				down = append(down, e.Message)
			}
		}
		require.Equal(r.t, []octo.EventKind{octo.EventEngineLost, octo.EventEngineBack}, r.recorded()[:2])
		for _, text := range down {
			require.Contains(r.t, text, "it ended while the container engine or octo was away")
		}
		require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase)
	})
}

// An app that has ended is told of, with the time of its end, as soon as the engine has
// started it again, and after a while if it does not.
func TestAgent_TellsOfAnEnd(t *testing.T) {
	broken := false
	refuse := func(engine.Spec) error {
		if broken {
			return errors.New("boom")
		}
		return nil
	}
	inBubble(t, enginetest.FakeConfig{StartError: refuse}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.run()
		after(time.Minute)
		began := time.Now()
		r.fake.Crash(r.container("hello.web.v1.1").ID, 1)
		after(time.Second)
		require.Equal(r.t, []octo.EventKind{octo.EventInstanceDown, octo.EventInstanceUp}, r.recorded())
		require.WithinDuration(r.t, began, r.told()[0].Time, 100*time.Millisecond)

		after(10 * time.Minute) // it has run for long: it is to be started at once
		broken = true
		r.fake.Crash(r.container("hello.web.v1.1").ID, 1)
		after(20 * time.Second)
		require.Len(r.t, r.recorded(), 2, "perhaps the engine is ending")
		after(20 * time.Second)
		require.Len(r.t, r.recorded(), 3)
		require.Equal(r.t, octo.EventInstanceDown, r.recorded()[2])
	})
}
