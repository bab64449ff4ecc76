package node

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func TestNew_NeedsEverything(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"name":   func(c *Config) { c.Name = "" },
		"host":   func(c *Config) { c.Host = "" },
		"engine": func(c *Config) { c.Engine = nil },
		"store":  func(c *Config) { c.Store = nil },
		"proxy":  func(c *Config) { c.Proxy = nil },
		"record": func(c *Config) { c.Record = nil },
		"log":    func(c *Config) { c.Log = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, enginetest.FakeConfig{})
			cfg := Config{Name: "n", Host: "h", Engine: r.fake, Store: r.store, Proxy: r.proxy, Record: r.record, Log: slog.Default()}
			_, err := New(cfg)
			require.NoError(t, err)
			change(&cfg)
			_, err = New(cfg)
			require.Error(t, err)
		})
	}
}

func TestAgent_StartsWhatIsWanted(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{StartDelay: 300 * time.Millisecond}, func(r *rig) {
		r.env = func(context.Context, octo.Release) ([]string, []engine.File, error) {
			return []string{"A=b c", "PORT=1"}, []engine.File{{Path: "/run/b", Content: []byte("c")}}, nil
		}
		r.release(1, octo.Pending)
		r.run()
		synctest.Wait()
		<-r.agent.Ready()
		list, ok := r.have()
		require.True(r.t, ok)
		require.Empty(r.t, list)

		r.want(web(1, 1))
		after(100 * time.Millisecond)
		require.Equal(r.t, []string{"hello.web.v1.1 starting"}, r.phases())
		_, ok = r.agent.Address("hello.web.v1.1")
		require.False(r.t, ok, "it does not run yet")
		after(300 * time.Millisecond)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())

		c := r.container("hello.web.v1.1")
		require.Equal(r.t, "octo-01234567-hello.web.v1.1", c.Name)
		require.Equal(r.t, map[string]string{
			engine.LabelHost: testHost, engine.LabelApp: "hello", engine.LabelRelease: "1", engine.LabelProcess: "web",
			engine.LabelInstance: "hello.web.v1.1", labelReleased: "1970-01-01T00:00:01Z",
			engine.LabelNetwork: "octohost-01234567-1", engine.LabelAddress: c.Address,
		}, c.Labels)
		address, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok)
		require.Equal(r.t, c.Address+":5000", address)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, address, i.Address)
		require.Equal(r.t, c.ID, i.Container)
		require.Equal(r.t, testNode, i.Node)
		require.Zero(r.t, i.Restarts)
		require.Nil(r.t, i.Failure)
		require.Empty(r.t, r.recorded())
	})
}

func TestAgent_ReadinessIsNoticedWithinMilliseconds(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		ready := time.Now().Add(705 * time.Millisecond)
		r.setBehaviour(func(engine.Container) answer {
			if time.Now().Before(ready) {
				return answer{seen: seenRefused}
			}
			return answer{seen: seenAnswer, status: 200}
		})
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(700 * time.Millisecond)
		require.Equal(r.t, octo.PhaseStarting, r.instance("hello.web.v1.1").Phase)
		after(15 * time.Millisecond)
		require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase)
	})
}

func TestAgent_WithoutAPortItIsHealthyAfterASecond(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Pending)
		r.want(process("worker", 1, 1))
		r.run()
		after(900 * time.Millisecond)
		require.Equal(r.t, []string{"hello.worker.v1.1 starting"}, r.phases())
		after(200 * time.Millisecond)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
		_, ok := r.agent.Address("hello.worker.v1.1")
		require.False(r.t, ok, "there is nothing to connect to")
		after(time.Minute)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
	})
}

func TestAgent_NotesWhatIsOddAboutAHealthyOne(t *testing.T) {
	for want, a := range map[string]answer{
		"": {seen: seenAnswer, status: 200},
		"GET / answered 404: counted as healthy, any answer below 500 is; set [deploy] health_path to check another":                      {seen: seenAnswer, status: 404},
		"GET / answered 301, a redirect to https: counted as healthy, any answer below 500 is; set [deploy] health_path to check another": {seen: seenAnswer, status: 301, location: "https://x/"},
	} {
		inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
			r.setBehaviour(func(engine.Container) answer { return a })
			r.release(1, octo.Pending)
			r.want(web(1, 1))
			r.run()
			after(time.Second)
			i := r.instance("hello.web.v1.1")
			require.Equal(r.t, octo.PhaseHealthy, i.Phase)
			require.Equal(r.t, want, i.Note)
		})
	}
}

func TestAgent_DrainsBeforeItStops(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.proxy.block = 20 * time.Second
		r.want(web(1, 1), web(1, 2), web(1, 3))
		r.run()
		after(time.Second)
		r.want(draining(web(1, 1)), web(1, 2)) // the first drains, the third is not mentioned any more
		after(19 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 draining", "hello.web.v1.2 healthy", "hello.web.v1.3 draining"}, r.phases())
		_, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok, "requests in flight go on")
		require.Len(r.t, r.containers(), 3)
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.2 healthy"}, r.phases())
		require.Equal(r.t, []string{"hello.web.v1.2 running"}, r.names())
		_, ok = r.agent.Address("hello.web.v1.1")
		require.False(r.t, ok)
		require.Equal(r.t, []octo.InstanceID{"hello.web.v1.1", "hello.web.v1.3"}, r.proxy.drained())
		require.Equal(r.t, map[octo.InstanceID]int{"hello.web.v1.1": 1, "hello.web.v1.3": 1}, r.proxy.gone)
	})
}

func TestAgent_DrainEndsInTime(t *testing.T) {
	stubborn := func(ctx context.Context, _ *enginetest.FakeProcess) int {
		<-ctx.Done()
		return 137
	}
	inBubble(t, enginetest.FakeConfig{Program: stubborn}, func(r *rig) {
		r.release(1, octo.Live, func(rel *octo.Release) {
			rel.Processes[0].Drain, rel.Processes[0].Grace = octo.Duration(5*time.Second), octo.Duration(3*time.Second)
		})
		r.proxy.block = time.Hour
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		r.want(draining(web(1, 1)))
		after(4900 * time.Millisecond)
		_, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok)
		after(200 * time.Millisecond)
		_, ok = r.agent.Address("hello.web.v1.1")
		require.False(r.t, ok, "it is being stopped")
		require.Equal(r.t, []string{"hello.web.v1.1 running"}, r.names(), "the grace is not over")
		after(3 * time.Second)
		require.Empty(r.t, r.containers())
		require.Empty(r.t, r.phases())
	})
}

func TestAgent_WantedAgainWhileItLeaves(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.proxy.block = 5 * time.Second
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		first := r.container("hello.web.v1.1").ID
		r.want()
		after(time.Second)
		r.want(web(1, 1))
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 draining"}, r.phases())
		after(5 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
		require.NotEqual(r.t, first, r.container("hello.web.v1.1").ID)
	})
}

func TestAgent_OtherNodesAreNotItsConcern(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.wantOf("one-more", web(1, 1))
		r.wantOf("on", web(1, 2))
		r.run()
		after(time.Second)
		require.Empty(r.t, r.phases())
		r.want(web(1, 3))
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.3 healthy"}, r.phases())
		r.wantOf("one-more")
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.3 healthy"}, r.phases())
	})
}

func TestAgent_KeepsWhatRunsWhenAssignmentsCannotBeRead(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		_, err := r.store.Put(context.Background(), store.WantPrefix+testNode, []byte("{"), store.Any)
		require.NoError(r.t, err)
		after(time.Minute)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
	})
}

func TestAgent_MissingReleaseIsAwaited(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.want(web(1, 1))
		r.run()
		after(time.Minute)
		require.Equal(r.t, []string{"hello.web.v1.1 pending"}, r.phases())
		r.release(1, octo.Pending)
		after(time.Minute)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
	})
}

func TestAgent_ReportsMemoryEveryFifteenSeconds(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1), web(1, 2))
		r.run()
		after(time.Second)
		writes := r.countWrites(store.HavePrefix + testNode)
		r.fake.SetMemory(r.container("hello.web.v1.1").ID, 1<<20)
		after(15 * time.Second)
		require.EqualValues(r.t, 1<<20, r.instance("hello.web.v1.1").Memory)
		require.EqualValues(r.t, 8<<20, r.instance("hello.web.v1.2").Memory)
		require.Equal(r.t, 1, writes())
		for i := range 40 {
			r.fake.SetMemory(r.container("hello.web.v1.1").ID, int64(i))
			after(1500 * time.Millisecond)
		}
		require.LessOrEqual(r.t, writes(), 5)
		after(time.Minute)
		require.LessOrEqual(r.t, writes(), 6, "nothing has changed")
	})
}

// countWrites returns a function that says how often a key changed since.
func (r *rig) countWrites(key string) func() int {
	all, err := r.store.List(context.Background(), "")
	require.NoError(r.t, err)
	n, last := 0, store.Version(0) // of the whole store: all its keys share one count
	for _, e := range all {
		last = max(last, e.Version)
	}
	return func() int {
		e, err := r.store.Get(context.Background(), key)
		require.NoError(r.t, err)
		if e.Version > last {
			n += int(e.Version - last) //nolint:gosec // versions of a bolt store count writes
			last = e.Version
		}
		return n
	}
}

func TestAgent_WritesAgainUnderANewLease(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		leases := &leaseThief{Store: r.store}
		r.store = leases
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
		leases.lose()
		_, ok := r.have()
		require.False(r.t, ok)
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy"}, r.phases())
		e, err := r.store.Get(context.Background(), store.NodesPrefix+testNode)
		require.NoError(r.t, err)
		var facts octo.Node
		require.NoError(r.t, json.Unmarshal(e.Value, &facts))
		require.Equal(r.t, octo.Node{Name: testNode, Version: "test"}, facts)
		r.stop()
		_, ok = r.have()
		require.False(r.t, ok, "the lease was given back")
	})
}

// leaseThief is a store whose leases can be lost.
type leaseThief struct {
	store.Store
	last store.Lease
}

func (s *leaseThief) Lease(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	l, err := s.Store.Lease(ctx, ttl)
	s.last = l
	return l, err
}

func (s *leaseThief) lose() { _ = s.last.Close() }

func TestEncodeReport_LeavesOutDetailsOfALargeOne(t *testing.T) {
	lines := strings.Split(strings.Repeat(strings.Repeat("x", 400)+"\n", 20), "\n")
	report := make([]octo.Instance, 1000)
	for i := range report {
		report[i] = octo.Instance{
			ID: octo.NewInstanceID("a-site-with-a-long-name", "web", 1234, i), App: "a-site-with-a-long-name", Process: "web",
			Node: testNode, Address: "10.213.100.100:5000", Container: strings.Repeat("c", 64),
			Failure: &octo.Failure{Kind: octo.FailedExit, Message: "web exited", Logs: lines},
		}
	}
	value, err := encodeReport(report)
	require.NoError(t, err)
	require.LessOrEqual(t, len(value), store.MaxValue)
	require.Contains(t, string(value), "web exited")
}
