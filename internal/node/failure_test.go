package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// ends is a program that prints and then ends with a code.
func ends(wait time.Duration, code int) func(context.Context, *enginetest.FakeProcess) int {
	return func(ctx context.Context, p *enginetest.FakeProcess) int {
		fmt.Fprintln(p.Stderr, "no such table: \x1b[31mposts")
		select {
		case <-time.After(wait):
			return code
		case <-p.Signals:
			return 0
		case <-ctx.Done():
			return 137
		}
	}
}

func never(engine.Container) answer { return answer{seen: seenRefused} }

func TestAgent_FailsAfterThreeStartsWhileTheReleaseRollsOut(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{Program: ends(200*time.Millisecond, 3)}, func(r *rig) {
		r.setBehaviour(never)
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(500 * time.Millisecond) // 0.2 s, at once again, 0.2 s, and then a wait of 1 s
		require.Equal(r.t, octo.PhaseStarting, r.instance("hello.web.v1.1").Phase)
		require.Equal(r.t, 1, r.instance("hello.web.v1.1").Restarts)
		after(1500 * time.Millisecond)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseFailed, i.Phase)
		require.Equal(r.t, 2, i.Restarts)
		require.Equal(r.t, &octo.Failure{
			Kind: octo.FailedExit, Message: "web exited with code 3 after 0.2 s (3 starts in a row ended)",
			Hint: "its last lines may say why; try the same image with: docker run",
			Logs: []string{"no such table: [31mposts"},
		}, i.Failure)
		require.Equal(r.t, []string{"hello.web.v1.1 exited"}, r.names(), "its log can be read")

		after(time.Hour)
		require.Equal(r.t, 2, r.instance("hello.web.v1.1").Restarts)
		r.fake.Lose(true)
		after(time.Second)
		r.fake.Return()
		after(time.Minute)
		require.Equal(r.t, i, r.instance("hello.web.v1.1"), "nothing that happens to the engine makes it better")
		r.want()
		after(time.Second)
		require.Empty(r.t, r.containers())
		require.Empty(r.t, r.phases())
		require.Equal(r.t, []octo.EventKind{octo.EventEngineLost, octo.EventEngineBack}, r.recorded(), "it never was up")
	})
}

func TestAgent_FailedInstanceOfAReleaseThatIsLiveAfterAll(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{Program: ends(200*time.Millisecond, 3)}, func(r *rig) {
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(5 * time.Second)
		require.Equal(r.t, octo.PhaseFailed, r.instance("hello.web.v1.1").Phase)
		r.release(1, octo.Live)
		after(time.Minute)
		require.Greater(r.t, r.instance("hello.web.v1.1").Restarts, 3)
	})
}

func TestAgent_StartsALiveReleaseForEver(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		for i, wait := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60} {
			r.fake.Crash(r.container("hello.web.v1.1").ID, 1)
			after(100 * time.Millisecond)
			if wait > 0 {
				got := r.instance("hello.web.v1.1")
				require.Equal(r.t, octo.PhaseFailed, got.Phase, "crash %d", i)
				require.NotNil(r.t, got.Failure)
				_, ok := r.agent.Address("hello.web.v1.1")
				require.False(r.t, ok)
				after(wait*time.Second - 200*time.Millisecond)
				require.Equal(r.t, []string{"hello.web.v1.1 exited"}, r.names(), "crash %d", i)
				after(200 * time.Millisecond)
			}
			got := r.instance("hello.web.v1.1")
			require.Equal(r.t, octo.PhaseHealthy, got.Phase, "crash %d", i)
			require.Equal(r.t, i+1, got.Restarts)
			require.NotNil(r.t, got.Failure, "the last reason is kept")
		}
		after(10 * time.Minute)
		r.fake.Crash(r.container("hello.web.v1.1").ID, 1)
		after(100 * time.Millisecond)
		require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase, "it ran long enough to begin anew")
		kinds := r.recorded()
		require.Len(r.t, kinds, 20)
		require.Equal(r.t, []octo.EventKind{octo.EventInstanceDown, octo.EventInstanceUp}, kinds[:2])
	})
}

func TestAgent_NamesOutOfMemory(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		r.fake.OutOfMemory(r.container("hello.web.v1.1").ID)
		after(100 * time.Millisecond)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseHealthy, i.Phase)
		require.Equal(r.t, octo.FailedOOM, i.Failure.Kind)
		require.Equal(r.t, "web was killed by the kernel after 1.0 s: it used more memory than its limit of 512 MB", i.Failure.Message)
		require.Equal(r.t, []octo.EventKind{octo.EventInstanceOOM, octo.EventInstanceDown, octo.EventInstanceUp}, r.recorded())
	})
}

func TestAgent_FailsWhenNothingAnswersInTime(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{Program: ends(time.Hour, 0)}, func(r *rig) {
		r.setBehaviour(never)
		r.release(1, octo.Pending, func(rel *octo.Release) { rel.Processes[0].Check.Deadline = octo.Duration(5 * time.Second) })
		r.want(web(1, 1))
		r.run()
		after(4900 * time.Millisecond)
		require.Equal(r.t, octo.PhaseStarting, r.instance("hello.web.v1.1").Phase)
		after(200 * time.Millisecond)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseFailed, i.Phase)
		require.Equal(r.t, octo.FailedPort, i.Failure.Kind)
		require.Len(r.t, i.Failure.Transcript, 1)
		require.Regexp(r.t, `^0\.0 s … [45]\.\d s: connection refused \(\d+ times\)$`, i.Failure.Transcript[0])
		require.Equal(r.t, []string{"no such table: [31mposts"}, i.Failure.Logs)
		require.Equal(r.t, []string{"hello.web.v1.1 running"}, r.names())
		r.want()
		after(time.Second)
		require.Empty(r.t, r.containers())
	})
}

func TestAgent_SlowStartOfALiveReleaseGetsMoreTime(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		var starts []time.Time
		r.setBehaviour(func(c engine.Container) answer {
			if len(starts) == 0 || !starts[len(starts)-1].Equal(c.Started) {
				starts = append(starts, c.Started)
			}
			if time.Since(c.Started) < 15*time.Second {
				return answer{seen: seenAnswer, status: 503}
			}
			return answer{seen: seenAnswer, status: 200}
		})
		r.release(1, octo.Live, func(rel *octo.Release) { rel.Processes[0].Check.Deadline = octo.Duration(5 * time.Second) })
		r.want(web(1, 1))
		r.run()
		after(time.Minute)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseHealthy, i.Phase)
		require.Equal(r.t, 2, i.Restarts, "5 s and 10 s were too short, 20 s were enough")
		require.Equal(r.t, octo.FailedCheck, i.Failure.Kind)
		require.Equal(r.t, "GET / still answered 503 after 10.0 s", i.Failure.Message)
	})
}

func TestAgent_UnhealthyAfterThreeMisses(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Live)
		r.want(web(1, 1))
		r.run()
		after(time.Second)
		r.setBehaviour(func(engine.Container) answer { return answer{seen: seenAnswer, status: 500} })
		after(20 * time.Second)
		require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase)
		after(15 * time.Second)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseUnhealthy, i.Phase)
		require.Equal(r.t, octo.FailedCheck, i.Failure.Kind)
		require.Zero(r.t, i.Restarts)
		_, ok := r.agent.Address("hello.web.v1.1")
		require.True(r.t, ok, "the container is the one that is meant, and runs")
		r.setBehaviour(nil)
		after(3 * time.Second)
		require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase)
		require.Equal(r.t, []octo.EventKind{octo.EventInstanceDown, octo.EventInstanceUp}, r.recorded())
	})
}

func TestAgent_EngineRefusesToStart(t *testing.T) {
	for _, tc := range []struct {
		name, message string
		err           error
	}{
		{"no command", "web could not be started: the image of x has no command to run", octo.Errorf(octo.ErrInvalid, "the image of x has no command to run").WithHint("add a CMD")},
		{"internal", "web could not be started: boom", errors.New("boom")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, enginetest.FakeConfig{StartError: func(engine.Spec) error { return tc.err }}, func(r *rig) {
				r.release(1, octo.Pending)
				r.want(web(1, 1))
				r.run()
				after(3 * time.Second)
				i := r.instance("hello.web.v1.1")
				require.Equal(r.t, octo.PhaseFailed, i.Phase)
				require.Equal(r.t, octo.FailedEngine, i.Failure.Kind)
				require.Equal(r.t, tc.message, i.Failure.Message)
				r.want()
				after(time.Second)
				require.Empty(r.t, r.phases())
			})
		})
	}
}

func TestAgent_ImageIsMissing(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.release(1, octo.Pending, func(rel *octo.Release) { rel.Image = "sha256:gone" })
		r.want(web(1, 1))
		r.run()
		after(3 * time.Second)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseFailed, i.Phase)
		require.Contains(r.t, i.Failure.Message, "No such image: sha256:gone")
	})
}

func TestAgent_ConfigurationCannotBeRead(t *testing.T) {
	inBubble(t, enginetest.FakeConfig{}, func(r *rig) {
		r.env = func(context.Context, octo.Release) ([]string, []engine.File, error) {
			return nil, nil, errors.New("wrong key")
		}
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(3 * time.Second)
		i := r.instance("hello.web.v1.1")
		require.Equal(r.t, octo.PhaseFailed, i.Phase)
		require.Equal(r.t, "web could not be started: read configuration: wrong key", i.Failure.Message)
	})
}

func TestAgent_EngineThatIsBusyIsAskedAgain(t *testing.T) {
	began := time.Time{}
	refuse := func(engine.Spec) error {
		if time.Since(began) < 10*time.Second {
			return octo.Errorf(octo.ErrUnavailable, "shutting down")
		}
		return nil
	}
	inBubble(t, enginetest.FakeConfig{StartError: refuse}, func(r *rig) {
		began = time.Now()
		r.release(1, octo.Pending)
		r.want(web(1, 1))
		r.run()
		after(9 * time.Second)
		require.Equal(r.t, octo.PhaseStarting, r.instance("hello.web.v1.1").Phase)
		after(15 * time.Second)
		require.Equal(r.t, octo.PhaseHealthy, r.instance("hello.web.v1.1").Phase)
		require.Zero(r.t, r.instance("hello.web.v1.1").Restarts)
	})
}
