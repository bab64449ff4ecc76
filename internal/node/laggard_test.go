package node

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// laggard is an engine whose answers are on their way for a while: what they say may
// no longer be true when they arrive.
type laggard struct {
	*enginetest.Fake
	lag time.Duration
}

func late[T any](l *laggard, v T, err error) (T, error) {
	<-time.After(l.lag)
	return v, err
}

func (l *laggard) Start(ctx context.Context, spec engine.Spec) (engine.Container, error) {
	c, err := l.Fake.Start(ctx, spec)
	return late(l, c, err)
}

func (l *laggard) Restart(ctx context.Context, id string) (engine.Container, error) {
	c, err := l.Fake.Restart(ctx, id)
	return late(l, c, err)
}

func (l *laggard) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c, err := l.Fake.Inspect(ctx, id)
	return late(l, c, err)
}

func (l *laggard) List(ctx context.Context, labels map[string]string) ([]engine.Container, error) {
	cs, err := l.Fake.List(ctx, labels)
	return late(l, cs, err)
}

func TestAgent_AnswersThatAreOutOfDateAreNotBelieved(t *testing.T) {
	const lag = 10 * time.Second
	for name, act := range map[string]func(r *rig){
		"start": func(r *rig) {
			r.run()
			after(lag + time.Second) // listed, and told to start
			require.Equal(r.t, octo.PhaseStarting, r.instance("hello.web.v1.1").Phase)
		},
		"list": func(r *rig) {
			r.run()
			after(4 * lag)
			r.stop()
			r.run()
			after(time.Second)
		},
		"look": func(r *rig) {
			r.run()
			after(4 * lag)
			c := r.fakeContainer()
			require.NoError(r.t, r.fake.Stop(context.Background(), c.ID, time.Second))
			_, err := r.fake.Restart(context.Background(), c.ID)
			require.NoError(r.t, err)
			after(time.Second) // it is being looked at
		},
		"list again": func(r *rig) {
			r.run()
			after(4 * lag)
			r.fake.Lose(false)
			after(time.Second)
			r.fake.Return()
			after(time.Second) // it is being listed
			r.fake.Lose(false)
			after(time.Second)
			r.fake.Return()
			after(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
				r.engine = &laggard{Fake: r.fake, lag: lag}
				r.release(1, octo.Live)
				r.want(web(1, 1))
				act(r)
				r.fake.Crash(r.fakeContainer().ID, 1)
				for range 10 {
					after(time.Second)
					if _, ok := r.agent.Address("hello.web.v1.1"); ok {
						require.Equal(r.t, engine.StateRunning, r.fakeContainer().State)
					}
				}
				after(10 * lag)
				require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase)
				_, ok := r.agent.Address("hello.web.v1.1")
				require.True(r.t, ok)
			})
		})
	}
}

// fakeContainer is the only container there is, as it is now.
func (r *rig) fakeContainer() engine.Container {
	r.t.Helper()
	cs, err := r.fake.List(context.Background(), nil)
	require.NoError(r.t, err)
	require.Len(r.t, cs, 1)
	return cs[0]
}

func TestAgent_ContainerThatStartsUnexpectedlyIsRemoved(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		rel := r.release(1, octo.Live)
		r.want()
		r.run()
		after(time.Second)
		spec := containerSpec(testHost, web(1, 1), &rel, rel.Processes[0], nil, place{})
		spec.Network, spec.Address = "", ""
		_, err := r.fake.Start(context.Background(), spec)
		require.NoError(t, err)
		after(time.Second)
		require.Empty(t, r.containers())
		require.Empty(t, r.phases())
	})
}

func TestAgent_AddressesComeBack(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.pools = []string{"10.213.0.0/22"} // room for one network
		r.release(1, octo.Live)
		r.run()
		as := make([]octo.Assignment, 150)
		for i := range as {
			as[i] = web(1, i+1)
		}
		for range 8 {
			r.want(as...)
			after(time.Second)
			require.Len(r.t, r.containers(), len(as))
			r.want()
			after(time.Second)
			require.Empty(r.t, r.containers())
		}
	})
}

// counter counts how often the engine is asked to look at containers.
type counter struct {
	*enginetest.Fake
	looks atomic.Int32
}

func (c *counter) Inspect(ctx context.Context, id string) (engine.Container, error) {
	c.looks.Add(1)
	return c.Fake.Inspect(ctx, id)
}

func (c *counter) List(ctx context.Context, labels map[string]string) ([]engine.Container, error) {
	c.looks.Add(1)
	return c.Fake.List(ctx, labels)
}

func TestAgent_AStartThatGoesWellCostsNoLook(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{StartDelay: time.Second}, func(r *rig) {
		c := &counter{Fake: r.fake}
		r.engine = c
		r.release(1, octo.Live)
		r.run()
		after(time.Second)
		before := c.looks.Load()
		r.want(web(1, 1), web(1, 2))
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy", "hello.web.v1.2 healthy"}, r.phases())
		require.Equal(r.t, before, c.looks.Load())
	})
}
