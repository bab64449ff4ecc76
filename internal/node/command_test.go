package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// commanded lets a process of a release be checked by a command.
func commanded(process int, change ...func(*octo.Check)) func(*octo.Release) {
	return func(r *octo.Release) {
		c := &r.Processes[process].Check
		c.Kind, c.Command = octo.CheckCmd, []string{"/testapp", "check"}
		for _, f := range change {
			f(c)
		}
	}
}

// checker is a health command that ends as told.
type checker struct{ code, takes, ran atomic.Int64 } // takes is in nanoseconds

func (c *checker) run(ctx context.Context, p *enginetest.FakeProcess) int {
	c.ran.Add(1)
	_, _ = fmt.Fprintf(p.Stdout, "noise\nI am at %d\n\n", c.code.Load()) // a pipe that nobody reads is as good
	select {
	case <-time.After(time.Duration(c.takes.Load())):
	case <-ctx.Done():
	}
	return int(c.code.Load())
}

func TestCommand_DecidesWhetherAnInstanceIsHealthy(t *testing.T) {
	c := &checker{}
	c.code.Store(1)
	inBubble(t, enginetest.FakeConfig{Exec: c.run}, func(r *rig) {
		r.release(1, octo.Pending, commanded(1))
		r.run()
		r.want(process("worker", 1, 1))
		after(3 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 starting"}, r.phases())
		c.code.Store(0)
		after(time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())

		ran := c.ran.Load()
		after(time.Minute)
		require.InDelta(r.t, 6, c.ran.Load()-ran, 2, "every ten seconds")
		c.code.Store(3)
		after(40 * time.Second)
		i := r.instance("hello.worker.v1.1")
		require.Equal(r.t, octo.PhaseUnhealthy, i.Phase)
		require.Contains(r.t, i.Failure.Message, "the health command of worker still ended with exit code 3")
		require.Contains(r.t, i.Failure.Transcript[0], "`/testapp check` ended with exit code 3: I am at 3")
		c.code.Store(0)
		after(5 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
	})
}

// Whatever the command says, requests must be able to reach what is routed.
func TestCommand_OfWhatHasAPortIsNotEnough(t *testing.T) {
	c := &checker{}
	inBubble(t, enginetest.FakeConfig{Exec: c.run}, func(r *rig) {
		r.release(1, octo.Pending, commanded(0, func(c *octo.Check) { c.Deadline = octo.Duration(10 * time.Second) }))
		r.setBehaviour(never)
		r.run()
		r.want(web(1, 1))
		after(15 * time.Second)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseFailed, i.Phase)
		require.Equal(r.t, octo.FailedPort, i.Failure.Kind)
		require.Zero(r.t, c.ran.Load(), "not even asked")
	})
}

func TestCommand_SettingsAreThoseOfTheCheck(t *testing.T) {
	c := &checker{}
	inBubble(t, enginetest.FakeConfig{Exec: c.run}, func(r *rig) {
		r.release(1, octo.Live, commanded(1, func(c *octo.Check) {
			c.Interval, c.Timeout, c.Retries = octo.Duration(time.Minute), octo.Duration(20*time.Second), 1
		}))
		r.run()
		r.want(process("worker", 1, 1))
		after(10 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
		require.EqualValues(r.t, 1, c.ran.Load())
		c.takes.Store(int64(19 * time.Second))
		after(4 * time.Minute)
		require.InDelta(r.t, 5, c.ran.Load(), 1)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
		c.takes.Store(int64(time.Hour)) // one that hangs is killed, and counts
		after(2 * time.Minute)
		i := r.instance("hello.worker.v1.1")
		require.Equal(r.t, octo.PhaseUnhealthy, i.Phase)
		require.Contains(r.t, i.Failure.Message, "did not end within 20.0 s: `/testapp check`")
	})
}

func TestCommand_ThatIsNotInTheImage(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Pending, commanded(1, func(c *octo.Check) {
			c.Command = []string{"/bin/sh", "-c", "curl -f http://localhost:5000/ || exit 1"}
			c.Deadline = octo.Duration(5 * time.Second)
		}))
		r.run()
		r.want(process("worker", 1, 1))
		after(15 * time.Second)
		i := r.instance("hello.worker.v1.1")
		require.Equal(r.t, octo.PhaseFailed, i.Phase)
		require.Equal(r.t, "the health command of worker cannot be run: `curl -f http://localhost:5000/ || exit 1`", i.Failure.Message)
		require.Contains(r.t, i.Failure.Hint, "put the program into the image")
	})
}

// That the engine is away says nothing about an instance.
func TestCommand_IsNotHeldAgainstAnInstanceWhenTheEngineIsAway(t *testing.T) {
	c := &checker{}
	inBubble(t, enginetest.FakeConfig{Exec: c.run}, func(r *rig) {
		r.release(1, octo.Live, commanded(1, func(c *octo.Check) { c.Interval, c.Retries = octo.Duration(time.Second), 1 }))
		r.run()
		r.want(process("worker", 1, 1))
		after(5 * time.Second)
		r.fake.Lose(false)
		after(3 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
		r.fake.Return()
		after(5 * time.Second)
		require.Equal(r.t, []string{"hello.worker.v1.1 healthy"}, r.phases())
		require.Empty(r.t, r.recorded()[2:], "engine lost, engine back")
	})
}

// The other kinds: tcp needs no answer, none needs nothing, for as long as is said.
func TestChecks_OfOtherKinds(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.setBehaviour(never)
		r.release(1, octo.Pending, func(r *octo.Release) {
			r.Processes[0].Check.Kind = octo.CheckNone
			r.Processes[1].Check.Uptime = octo.Duration(7 * time.Second)
		})
		r.run()
		r.want(web(1, 1), process("worker", 1, 1))
		after(6 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy", "hello.worker.v1.1 starting"}, r.phases())
		_, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok)
		after(2 * time.Second)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy", "hello.worker.v1.1 healthy"}, r.phases())
		after(time.Minute)
		require.Equal(r.t, []string{"hello.web.v1.1 healthy", "hello.worker.v1.1 healthy"}, r.phases())
	})
	address := serveRaw(t, asked)
	require.Equal(t, answer{seen: seenOpen}, ask(t.Context(), target{kind: octo.CheckTCP, address: address}, time.Second, time.Second))
	require.Equal(t, "connected", answer{seen: seenOpen}.describe(target{}))
	require.True(t, answer{seen: seenOpen}.good())
}

func TestCommandLine(t *testing.T) {
	for want, command := range map[string][]string{
		"`curl -f x`":                         {"curl", "-f", "x"},
		"`a && b`":                            {"/bin/sh", "-c", "a && b"},
		"`a b`":                               {"a\nb"},
		"`" + strings.Repeat("x", 120) + "…`": {strings.Repeat("x", 300)},
	} {
		require.Equal(t, want, commandLine(command))
	}
}

func TestTail(t *testing.T) {
	var tl tail
	require.Empty(t, tl.last())
	for range 10 {
		n, err := tl.Write([]byte(strings.Repeat("x", 1000) + "\nend\x1b[0m\n\n"))
		require.NoError(t, err)
		require.Equal(t, 1010, n)
	}
	require.LessOrEqual(t, len(tl.buf), maxSaid)
	require.Equal(t, "end[0m", tl.last())
}
