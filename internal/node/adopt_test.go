package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// runThree has a live release with three instances, of which everything is healthy.
func runThree(r *rig) {
	r.release(1, octo.Live)
	r.want(web(1, 1), web(1, 2), process("worker", 1, 1))
	r.run()
	after(2 * time.Second)
	require.Equal(r.t, allThree, r.phases())
}

var allThree = []string{"hello.web.v1.1 healthy", "hello.web.v1.2 healthy", "hello.worker.v1.1 healthy"}

func TestAgent_RestartOfTheDaemonIsNotNoticed(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		before := r.containers()
		r.stop()
		_, ok := r.agent.Address("hello.web.v1.1")
		require.False(r.t, ok, "nobody looks after it")
		require.ElementsMatch(r.t, before, r.containers())

		// The health check would not pass now, but a connection does.
		r.setBehaviour(func(engine.Container) answer { return answer{seen: seenAnswer, status: 500} })
		r.run()
		synctest.Wait()
		<-r.agent.Ready()
		require.Equal(r.t, allThree, r.phases(), "the very first report says so")
		require.ElementsMatch(r.t, before, r.containers())
		address, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok)
		require.Equal(r.t, r.container("hello.web.v1.1").Address+":5000", address)
		require.Empty(r.t, r.recorded())
	})
}

func TestAgent_AdoptedInstanceThatDoesNotAnswerIsAwaited(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		r.stop()
		r.setBehaviour(never)
		r.run()
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 starting", "hello.web.v1.2 starting", "hello.worker.v1.1 healthy"}, r.phases())
		r.setBehaviour(nil)
		after(time.Second)
		require.Equal(r.t, allThree, r.phases())
	})
}

func TestAgent_RollingOutGoesOnAfterARestartOfTheDaemon(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.setBehaviour(never)
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(10 * time.Second)
		r.stop()
		r.run()
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 starting"}, r.phases(), "a connection is not enough here")
		r.setBehaviour(nil)
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
		require.Equal(r.t, []string{"hello.web.v1.1 running"}, r.names())
	})
}

func TestAgent_WhatHappenedWhileTheDaemonWasAway(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		r.stop()
		r.fake.Crash(r.container("hello.web.v1.1").ID, 1)
		require.NoError(r.t, r.fake.Remove(context.Background(), r.container("hello.worker.v1.1").ID))
		r.want(web(1, 1), process("worker", 1, 1), process("worker", 1, 2)) // the second web has to go
		r.run()
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy", "hello.worker.v1.1 healthy", "hello.worker.v1.2 healthy"}, r.phases())
		require.Equal(r.t, []string{"hello.web.v1.1 running", "hello.worker.v1.1 running", "hello.worker.v1.2 running"}, r.names())
		require.Equal(r.t, 1, r.instance("hello.web.v1.1").Restarts)
	})
}

func TestAgent_DrainWasUnderWayWhenTheDaemonEnded(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.proxy.block = 20 * time.Second
		runThree(r)
		r.want(draining(web(1, 1)), web(1, 2), process("worker", 1, 1))
		after(5 * time.Second)
		r.stop()
		r.run()
		after(time.Second)
		require.Equal(r.t, "draining", r.instance("hello.web.v1.1").Phase.String())
		_, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok)
		after(time.Minute)
		require.Equal(r.t, []string{"hello.web.v1.2 running", "hello.worker.v1.1 running"}, r.names())
	})
}

func TestAgent_SameNameIsNotTheSameInstance(t *testing.T) {
	for name, change := range map[string]func(*octo.Release){
		"another image":                  func(rel *octo.Release) { rel.Image = "" },
		"another release of that number": func(rel *octo.Release) { rel.Created = rel.Created.Add(time.Nanosecond) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
				runThree(r)
				old := r.container("hello.web.v1.1")
				r.stop()
				other := r.fake.AddImage(engine.Image{Command: []string{"/other"}})
				rel := r.release(1, octo.Live, change)
				if rel.Image == "" {
					rel.Image = other
					r.writeRelease(rel)
				}
				r.run()
				synctest.Wait()
				_, ok := r.agent.Address("hello.web.v1.1")
				require.False(r.t, ok && r.container("hello.web.v1.1").ID == old.ID)
				after(2 * time.Second)
				require.Equal(r.t, allThree, r.phases())
				require.NotEqual(r.t, old.ID, r.container("hello.web.v1.1").ID)
				require.Equal(r.t, rel.Image, r.container("hello.web.v1.1").Image)
			})
		})
	}
}

func TestAgent_LeavesAloneWhatIsNotAnInstance(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		start := func(name string, labels map[string]string) {
			_, err := r.fake.Start(context.Background(), engine.Spec{Name: name, Image: r.image, Labels: labels})
			require.NoError(r.t, err)
		}
		// Containers inherit the labels of their image, and our images have ours.
		start("by-hand", map[string]string{engine.LabelHost: testHost, engine.LabelApp: "hello"})
		start("other-octohost", map[string]string{engine.LabelHost: testHost + "0", engine.LabelInstance: "hello.web.v1.1"})
		start("orphan", map[string]string{engine.LabelHost: testHost, engine.LabelInstance: "old.web.v1.1"})
		r.run()
		after(time.Minute)
		all, err := r.fake.List(context.Background(), nil)
		require.NoError(r.t, err)
		names := []string{}
		for _, c := range all {
			names = append(names, c.Name)
		}
		require.ElementsMatch(r.t, []string{"by-hand", "other-octohost"}, names)
	})
}

func TestAgent_EngineIsLostAndComesBack(t *testing.T) {
	for name, kill := range map[string]bool{"its containers go on": false, "its containers end": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
				runThree(r)
				before := r.container("hello.web.v1.1")
				r.fake.Lose(kill)
				synctest.Wait()
				for _, id := range []octo.InstanceID{"hello.web.v1.1", "hello.web.v1.2"} {
					_, ok := r.agent.Address(id)
					require.False(r.t, ok)
				}
				after(2 * time.Minute)
				_, ok := r.agent.Address("hello.web.v1.1")
				require.False(r.t, ok)
				r.fake.Return()
				after(2 * time.Second)
				require.Equal(r.t, allThree, r.phases())
				now := r.container("hello.web.v1.1")
				require.Equal(r.t, before.ID, now.ID)
				require.Equal(r.t, before.Address, now.Address, "addresses survive")
				address, ok := r.agent.Address("hello.web.v1.1")
				require.True(r.t, ok)
				require.Equal(r.t, now.Address+":5000", address)
				require.Equal(r.t, kill, r.instance("hello.web.v1.1").Restarts == 1)
				kinds := r.recorded()
				require.Equal(r.t, octo.EventEngineLost, kinds[0])
				require.Contains(r.t, kinds, octo.EventEngineBack)
			})
		})
	}
}

func TestAgent_EngineIsNotThereAtFirst(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.fake.Lose(false)
		r.run()
		after(time.Minute)
		_, ok := r.have()
		require.False(r.t, ok, "nothing has been looked at")
		r.fake.Return()
		after(time.Second)
		<-r.agent.Ready()
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
	})
}

func TestAgent_ContainerIsRemovedBySomebody(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		old := r.container("hello.web.v1.1")
		require.NoError(r.t, r.fake.Remove(context.Background(), old.ID))
		after(time.Second)
		require.Equal(r.t, allThree, r.phases())
		now := r.container("hello.web.v1.1")
		require.NotEqual(r.t, old.ID, now.ID)
		require.NotEqual(r.t, old.Address, now.Address, "an address is not used again soon")
		require.Contains(r.t, r.instance("hello.web.v1.1").Failure.Message, "removed by somebody else")
	})
}

func TestAgent_ContainerIsRestartedBySomebody(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		c := r.container("hello.web.v1.1")
		require.NoError(r.t, r.fake.Stop(context.Background(), c.ID, time.Second))
		_, err := r.fake.Restart(context.Background(), c.ID)
		require.NoError(r.t, err)
		after(time.Second)
		require.Equal(r.t, allThree, r.phases())
		require.Equal(r.t, c.ID, r.container("hello.web.v1.1").ID)
		_, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok)
	})
}

func TestAgent_AddressIsTaken(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		runThree(r)
		c := r.container("hello.web.v1.1")
		r.stop()
		require.NoError(r.t, r.fake.Stop(context.Background(), c.ID, time.Second))
		// Somebody else has the next addresses, and that of the one that ended.
		r.occupy("10.213.0.5", "10.213.0.6", c.Labels[engine.LabelAddress])
		r.run()
		after(2 * time.Second)
		require.Equal(r.t, allThree, r.phases())
		require.Equal(r.t, "10.213.0.7", r.container("hello.web.v1.1").Address)
	})
}

// occupy gives addresses to containers of somebody else.
func (r *rig) occupy(addresses ...string) {
	for _, a := range addresses {
		_, err := r.fake.Start(context.Background(), engine.Spec{
			Name: "foreign-" + a, Image: r.image, Network: "octohost-01234567-1", Address: a,
		})
		require.NoError(r.t, err)
	}
}

func TestAgent_ManyStartAFewAtATime(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{StartDelay: time.Second}, func(r *rig) {
		r.release(1, octo.Live)
		as := make([]octo.Assignment, 20)
		for i := range as {
			as[i] = web(1, i+1)
		}
		r.want(as...)
		r.run()
		after(1100 * time.Millisecond)
		require.Len(r.t, r.containers(), maxStarting)
		after(5 * time.Second)
		require.Len(r.t, r.containers(), 20)
		addresses := map[string]bool{}
		for _, c := range r.containers() {
			addresses[c.Address] = true
		}
		require.Len(r.t, addresses, 20)
		r.want()
		after(time.Second)
		require.Empty(r.t, r.containers())
	})
}
