package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
)

func TestAgent_LendsPlaces(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, "live")
		r.want(web(1, 1))
		r.run()
		synctest.Wait()
		instance := r.container("hello.web.v1.1")
		r.occupy("10.213.0.3")
		spec := engine.Spec{Name: "guest", Image: r.image, Labels: map[string]string{engine.LabelHost: testHost}}
		var guest engine.Container
		start := func(spec engine.Spec) (err error) {
			guest, err = r.fake.Start(context.Background(), spec)
			return err
		}
		require.NoError(t, r.agent.Lend(context.Background(), spec, start))
		require.Equal(t, "10.213.0.4", guest.Address, "neither an instance's nor that of a stranger")
		require.Equal(t, map[string]string{
			engine.LabelHost: testHost, engine.LabelNetwork: "octohost-01234567-1", engine.LabelAddress: guest.Address,
		}, guest.Labels)
		require.Len(t, spec.Labels, 1)

		r.stop()
		r.run() // the place is still known to be taken
		synctest.Wait()
		require.Equal(t, instance.ID, r.container("hello.web.v1.1").ID)
		require.NoError(t, r.fake.Stop(context.Background(), guest.ID, time.Second))
		first := guest.Address
		spec.Name = "guest2"
		require.NoError(t, r.agent.Lend(context.Background(), spec, start))
		require.NotEqual(t, first, guest.Address)
		r.agent.Return(guest)
		r.agent.Return(engine.Container{}) // which has none

		broken := errors.New("broken")
		calls := 0
		err := r.agent.Lend(context.Background(), spec, func(engine.Spec) error { calls++; return broken })
		require.ErrorIs(t, err, broken)
		require.Equal(t, 1, calls)
	})
}

func TestAgent_LendsNothingBeforeItKnowsWhatIsTaken(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.fake.Lose(false)
		r.run()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := r.agent.Lend(ctx, engine.Spec{}, func(engine.Spec) error { panic("not yet") })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		r.fake.Return()
	})
}
