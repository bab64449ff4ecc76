package proxy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func group(n int) *site {
	s := new(site)
	for i := range n {
		s.backends = append(s.backends, newBackend(octo.NewInstanceID("a", octo.Web, 1, i+1)))
	}
	return s
}

func TestPick_PrefersTheLighterOfTwo(t *testing.T) {
	s := group(2)
	s.backends[0].inFlight.Store(1)
	for range 100 {
		require.Same(t, s.backends[1], s.pick(nil, 0))
	}
}

func TestPick_SpreadsEvenly(t *testing.T) {
	s := group(4)
	for range 4000 {
		s.pick(nil, 0).inFlight.Add(1)
	}
	for _, b := range s.backends {
		require.InDelta(t, 1000, b.inFlight.Load(), 20)
	}
}

func TestPick_AvoidsTheDownedButNeverRefusesTheLast(t *testing.T) {
	now := time.Now()
	s := group(3)
	later := func(d time.Duration) int64 { return now.Add(d).UnixNano() }
	s.backends[0].downUntil.Store(later(time.Second))
	s.backends[1].draining.Store(true)
	for range 50 {
		require.Same(t, s.backends[2], s.pick(nil, now.UnixNano()))
		require.Same(t, s.backends[0], s.pick(s.backends[2:], now.UnixNano()))
		require.Nil(t, s.pick([]*backend{s.backends[2], s.backends[0]}, now.UnixNano()))
	}
	s.backends[2].downUntil.Store(later(2 * time.Second))
	for range 50 {
		require.Same(t, s.backends[0], s.pick(nil, now.UnixNano()), "the one that was down first")
		require.Contains(t, []*backend{s.backends[0]}, s.pick(nil, later(1500*time.Millisecond)))
	}
	require.Nil(t, new(site).pick(nil, 0))
}

func TestPick_DoesNotAllocate(t *testing.T) {
	s := group(3)
	s.backends[1].downUntil.Store(1 << 62)
	require.Zero(t, testing.AllocsPerRun(100, func() { s.pick(nil, 0) }))
}
