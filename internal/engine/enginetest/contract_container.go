package enginetest

import (
	"net/netip"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

func (s *suite) networkIsIdempotent() {
	first, err := s.EnsureNetwork(s.Context(), s.network("a"))
	require.NoError(s, err)
	subnet := netip.MustParsePrefix(first.Subnet)
	require.Equal(s, 24, subnet.Bits())
	require.True(s, netip.MustParsePrefix(s.pool).Contains(subnet.Addr()))
	require.Equal(s, subnet.Addr().Next().String(), first.Gateway)
	require.Equal(s, engine.LastQuarter(subnet).String(), first.Reserved)

	again, err := s.EnsureNetwork(s.Context(), s.network("a"))
	require.NoError(s, err)
	require.Equal(s, first, again)
	all, err := s.Networks(s.Context(), s.labels)
	require.NoError(s, err)
	require.Equal(s, []engine.Network{first}, all)

	stranger := s.network("a")
	stranger.Labels = map[string]string{engine.LabelHost: s.host + "x"}
	_, err = s.EnsureNetwork(s.Context(), stranger)
	require.ErrorIs(s, err, octo.ErrConflict)

	require.NoError(s, s.RemoveNetwork(s.Context(), first.ID))
	require.NoError(s, s.RemoveNetwork(s.Context(), first.ID), "gone is no error")
	all, err = s.Networks(s.Context(), s.labels)
	require.NoError(s, err)
	require.Empty(s, all)
}

func (s *suite) networksDoNotOverlap() {
	var subnets []netip.Prefix
	for _, name := range []string{"a", "b", "c"} {
		n, err := s.EnsureNetwork(s.Context(), s.network(name))
		require.NoError(s, err)
		for _, other := range subnets {
			require.False(s, other.Overlaps(netip.MustParsePrefix(n.Subnet)))
		}
		subnets = append(subnets, netip.MustParsePrefix(n.Subnet))
	}
	full := s.network("d")
	full.Pools = []string{subnets[0].String()}
	_, err := s.EnsureNetwork(s.Context(), full)
	require.ErrorIs(s, err, octo.ErrConflict)
}

// address returns the nth address of the suite's network.
func (s *suite) address(n int) string {
	all, err := s.Networks(s.Context(), s.labels)
	require.NoError(s, err)
	ip := netip.MustParsePrefix(all[0].Subnet).Addr()
	for range n {
		ip = ip.Next()
	}
	return ip.String()
}

func (s *suite) startServes() {
	spec := s.hello("VERSION=one")
	spec.Address = s.address(7)
	c := s.start(spec)
	require.NotEmpty(s, c.ID)
	require.Equal(s, spec.Name, c.Name)
	require.Equal(s, spec.Image, c.Image)
	require.Equal(s, s.labels, c.Labels)
	require.Equal(s, engine.StateRunning, c.State)
	require.Equal(s, spec.Address, c.Address)
	require.Positive(s, c.PID)
	require.WithinDuration(s, time.Now(), c.Started, time.Minute)
	require.Equal(s, "one", s.get(c, "/"))

	same, err := s.Inspect(s.Context(), c.ID)
	require.NoError(s, err)
	require.Equal(s, c, same)
	byName, err := s.Inspect(s.Context(), c.Name)
	require.NoError(s, err)
	require.Equal(s, c, byName)

	spec.Name, spec.Address = spec.Name+"-2", ""
	second := s.start(spec)
	all, err := s.Networks(s.Context(), s.labels)
	require.NoError(s, err)
	require.True(s, netip.MustParsePrefix(all[0].Reserved).Contains(netip.MustParseAddr(second.Address)), second.Address)
}

func (s *suite) startConflicts() {
	spec := s.hello()
	spec.Address = s.address(7)
	s.start(spec)
	_, err := s.Start(s.Context(), spec)
	require.ErrorIs(s, err, octo.ErrConflict, "name")
	spec.Name += "-2"
	_, err = s.Start(s.Context(), spec)
	require.ErrorIs(s, err, octo.ErrConflict, "address")
	_, err = s.Inspect(s.Context(), spec.Name)
	require.ErrorIs(s, err, octo.ErrNotFound, "what failed to start is removed")
}

// files have arbitrary content, and can be read by those who are not root.
func (s *suite) files() {
	spec := s.hello()
	spec.Image = HelloImage(s, s.Engine, s.host, map[string]string{"Dockerfile": HelloDockerfile + "USER 12345\n"})
	every := make([]byte, 300<<10)
	for i := range every {
		every[i] = byte(i)
	}
	spec.Files = []engine.File{{Path: "/run/octohost/config/A", Content: every}, {Path: "/run/octohost/config/B"}, {Path: "/top", Content: []byte("a\x00b\n")}}
	c := s.start(spec)
	for range 2 {
		for _, f := range spec.Files {
			require.Equal(s, strings.TrimSpace(string(f.Content)), s.get(c, "/file?path="+f.Path), f.Path)
		}
		require.NoError(s, s.Stop(s.Context(), c.ID, deadline))
		var err error
		c, err = s.Restart(s.Context(), c.ID)
		require.NoError(s, err)
	}
	spec.Name, spec.Files = spec.Name+"-2", []engine.File{{Path: "/a/../b"}}
	_, err := s.Start(s.Context(), spec)
	require.ErrorIs(s, err, octo.ErrInvalid)
	_, err = s.Inspect(s.Context(), spec.Name)
	require.ErrorIs(s, err, octo.ErrNotFound)
}

func (s *suite) startFailsCleanly() {
	spec := s.hello()
	bad := spec
	bad.Image = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	_, err := s.Start(s.Context(), bad)
	require.ErrorIs(s, err, octo.ErrNotFound)
	bad = spec
	bad.Network = s.host + "-nowhere"
	_, err = s.Start(s.Context(), bad)
	require.ErrorIs(s, err, octo.ErrNotFound)
	bad = spec
	bad.Address = "nonsense"
	_, err = s.Start(s.Context(), bad)
	require.ErrorIs(s, err, octo.ErrInvalid)
	bad = spec
	bad.Image = HelloImage(s, s.Engine, s.host, map[string]string{"Dockerfile": "FROM scratch\nCOPY testapp /testapp\n"})
	_, err = s.Start(s.Context(), bad)
	require.ErrorIs(s, err, octo.ErrInvalid)
	require.ErrorContains(s, err, "has no command to run")
	all, err := s.List(s.Context(), s.labels)
	require.NoError(s, err)
	require.Empty(s, all)
}

func (s *suite) labelsAreExact() {
	spec := s.hello()
	spec.Labels = map[string]string{engine.LabelHost: s.host, engine.LabelApp: "html"}
	html := s.start(spec)
	spec.Name += "-2"
	spec.Labels = map[string]string{engine.LabelHost: s.host, engine.LabelApp: "html-staging"}
	s.start(spec)
	found, err := s.List(s.Context(), map[string]string{engine.LabelHost: s.host, engine.LabelApp: "html"})
	require.NoError(s, err)
	require.Equal(s, []engine.Container{html}, found)
	all, err := s.List(s.Context(), s.labels)
	require.NoError(s, err)
	require.Len(s, all, 2)
	none, err := s.List(s.Context(), map[string]string{engine.LabelHost: s.host[:6]})
	require.NoError(s, err)
	require.Empty(s, none)
}

func (s *suite) exitCode() {
	c := s.ended(s.start(s.hello("EXIT_CODE=7")).ID)
	require.Equal(s, 7, c.ExitCode)
	require.Zero(s, c.PID)
	require.Empty(s, c.Address)
	require.False(s, c.OOMKilled)
	require.False(s, c.Finished.Before(c.Started))
	listed, err := s.List(s.Context(), s.labels)
	require.NoError(s, err)
	require.Equal(s, []engine.Container{c}, listed)
}

func (s *suite) stopIsGraceful() {
	c := s.start(s.hello())
	s.get(c, "/")
	require.NoError(s, s.Stop(s.Context(), c.ID, deadline))
	c, err := s.Inspect(s.Context(), c.ID)
	require.NoError(s, err)
	require.Equal(s, engine.StateExited, c.State)
	require.Zero(s, c.ExitCode)
	require.NoError(s, s.Stop(s.Context(), c.ID, deadline), "stopped is no error")
}

func (s *suite) stopKills() {
	c := s.start(s.hello("IGNORE_SIGTERM=1"))
	s.get(c, "/")
	begin := time.Now()
	require.NoError(s, s.Stop(s.Context(), c.ID, time.Second))
	require.GreaterOrEqual(s, time.Since(begin), 900*time.Millisecond)
	c, err := s.Inspect(s.Context(), c.ID)
	require.NoError(s, err)
	require.Equal(s, engine.StateExited, c.State)
	require.Equal(s, 137, c.ExitCode)
}

func (s *suite) remove() {
	c := s.start(s.hello())
	require.NoError(s, s.Remove(s.Context(), c.ID))
	_, err := s.Inspect(s.Context(), c.ID)
	require.ErrorIs(s, err, octo.ErrNotFound)
	require.NoError(s, s.Remove(s.Context(), c.ID), "gone is no error")
	require.NoError(s, s.Stop(s.Context(), c.ID, time.Second), "gone is no error")
	_, err = s.Restart(s.Context(), c.ID)
	require.ErrorIs(s, err, octo.ErrNotFound)
}

func (s *suite) restartKeepsAddress() {
	spec := s.hello("VERSION=one")
	spec.Address = s.address(9)
	first := s.start(spec)
	s.get(first, "/")
	require.NoError(s, s.Stop(s.Context(), first.ID, deadline))
	again, err := s.Restart(s.Context(), first.ID)
	require.NoError(s, err)
	require.Equal(s, first.ID, again.ID)
	require.Equal(s, spec.Address, again.Address)
	require.NotEqual(s, first.PID, again.PID)
	require.True(s, again.Started.After(first.Started))
	require.Equal(s, "one", s.get(again, "/"))
	same, err := s.Restart(s.Context(), first.ID)
	require.NoError(s, err, "one that runs is left alone")
	require.Equal(s, again.PID, same.PID)
}

func (s *suite) outOfMemory() {
	spec := s.hello("OOM=1")
	spec.Memory = 16 << 20
	c := s.ended(s.start(spec).ID)
	require.Equal(s, 137, c.ExitCode)
	require.Eventually(s, func() bool { // the kernel tells of it in another way, which may take longer
		c, err := s.Inspect(s.Context(), c.ID)
		require.NoError(s, err)
		return c.OOMKilled
	}, deadline, 10*time.Millisecond)
}

func (s *suite) memory() {
	c := s.start(s.hello())
	s.get(c, "/")
	bytes, err := s.Memory(s.Context(), c.ID)
	require.NoError(s, err)
	require.Greater(s, bytes, int64(200<<10))
	require.Less(s, bytes, int64(64<<20))
	require.NoError(s, s.Stop(s.Context(), c.ID, deadline))
	_, err = s.Memory(s.Context(), c.ID)
	require.ErrorIs(s, err, octo.ErrConflict)
	require.NoError(s, s.Remove(s.Context(), c.ID))
	_, err = s.Memory(s.Context(), c.ID)
	require.ErrorIs(s, err, octo.ErrNotFound)
}
