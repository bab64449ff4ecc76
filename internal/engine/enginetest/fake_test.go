package enginetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

func TestFake_KeepsTheContract(t *testing.T) {
	Run(t, func(testing.TB) (Engine, string) { return NewFake(FakeConfig{}), "127.77.0.0/16" })
}

// idle returns a fake with one container that runs, inside of a synctest bubble.
func idle(t *testing.T, config FakeConfig) (*Fake, engine.Spec) {
	t.Helper()
	config.Program = Idle
	f := NewFake(config)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	image := f.AddImage(engine.Image{Command: []string{"/app"}})
	return f, engine.Spec{Name: "a", Image: image, Labels: map[string]string{engine.LabelApp: "hello"}}
}

func TestFake_IsLostAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, spec := idle(t, FakeConfig{})
		c, err := f.Start(t.Context(), spec)
		require.NoError(t, err)
		var seen []string
		for event, err := range f.Events(t.Context(), nil) {
			if err != nil {
				require.ErrorIs(t, err, octo.ErrUnavailable)
				seen = append(seen, "lost")
				_, err = f.List(t.Context(), nil)
				require.ErrorIs(t, err, octo.ErrUnavailable)
				f.Return()
				continue
			}
			seen = append(seen, string(event.Kind))
			if len(seen) == 1 {
				go f.Lose(true) // ends with the bubble
			} else {
				break
			}
		}
		require.Equal(t, []string{"sync", "lost", "sync"}, seen)
		synctest.Wait()
		c, err = f.Inspect(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, engine.StateExited, c.State)
		require.Equal(t, 137, c.ExitCode)

		c, err = f.Restart(t.Context(), c.ID)
		require.NoError(t, err)
		f.Lose(false)
		f.Return()
		c, err = f.Inspect(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, engine.StateRunning, c.State)
	})
}

func TestFake_CrashesAndRunsOutOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, spec := idle(t, FakeConfig{})
		c, err := f.Start(t.Context(), spec)
		require.NoError(t, err)
		f.Crash(c.ID, 4)
		synctest.Wait()
		c, err = f.Inspect(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, 4, c.ExitCode)
		_, err = f.Restart(t.Context(), c.ID)
		require.NoError(t, err)
		f.OutOfMemory(c.ID)
		synctest.Wait()
		c, err = f.Inspect(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, 137, c.ExitCode)
		require.True(t, c.OOMKilled)
	})
}

func TestFake_TakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		f, spec := idle(t, FakeConfig{StartDelay: time.Second, StartError: func(s engine.Spec) error {
			if s.Name == "bad" {
				return refused
			}
			return nil
		}})
		begin := time.Now()
		_, err := f.Start(t.Context(), spec)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(begin))
		spec.Name = "bad"
		_, err = f.Start(t.Context(), spec)
		require.ErrorIs(t, err, refused)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		spec.Name = "c"
		_, err = f.Start(ctx, spec)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		all, err := f.List(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, all, 1)
	})
}

func TestFake_HasNoBuildKit(t *testing.T) {
	_, err := NewFake(FakeConfig{}).BuildKit(t.Context(), engine.BuildSpec{}, nil, new(bytes.Buffer))
	require.ErrorIs(t, err, engine.ErrNoBuildKit)
}
