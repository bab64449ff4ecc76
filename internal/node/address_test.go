package node

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testAddresses() *addresses {
	return newAddresses(netip.MustParsePrefix("10.0.0.0/28"), netip.MustParsePrefix("10.0.0.12/30"), netip.MustParseAddr("10.0.0.1"))
}

func TestAddresses_LeavesOutWhatIsNotForContainers(t *testing.T) {
	as := testAddresses()
	var got []string
	for {
		addr, ok := as.take()
		if !ok {
			break
		}
		got = append(got, addr.String())
	}
	require.Equal(t, []string{
		"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7",
		"10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11",
	}, got)
}

func TestAddresses_WithoutAReservedRange(t *testing.T) {
	as := newAddresses(netip.MustParsePrefix("10.0.0.4/30"), netip.Prefix{}, netip.MustParseAddr("10.0.0.5"))
	addr, ok := as.take()
	require.True(t, ok)
	require.Equal(t, "10.0.0.6", addr.String())
	_, ok = as.take()
	require.False(t, ok)
}

func TestAddresses_StartAfter(t *testing.T) {
	for _, tc := range []struct{ after, next string }{
		{"10.0.0.5", "10.0.0.6"},
		{"10.0.0.11", "10.0.0.2"},
		{"10.0.0.1", "10.0.0.2"},
		{"", "10.0.0.2"},
	} {
		as := testAddresses()
		var addr netip.Addr
		if tc.after != "" {
			addr = netip.MustParseAddr(tc.after)
		}
		as.startAfter(addr)
		got, ok := as.take()
		require.True(t, ok)
		require.Equal(t, tc.next, got.String(), "after %s", tc.after)
	}
}

// TestAddresses_LeastRecentlyUsedFirst: no address is ever given out twice, and of
// those that are free the one that was given back longest ago comes first.
func TestAddresses_LeastRecentlyUsedFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		as := testAddresses()
		total := len(as.free)
		freed := map[netip.Addr]int{} // when
		inUse := []netip.Addr{}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(inUse) > 0 && rapid.Bool().Draw(t, "release") {
				i := rapid.IntRange(0, len(inUse)-1).Draw(t, "which")
				as.release(inUse[i])
				as.release(inUse[i]) // twice is as good as once
				freed[inUse[i]] = step
				inUse = append(inUse[:i], inUse[i+1:]...)
				continue
			}
			addr, ok := as.take()
			require.Equal(t, len(inUse) < total, ok)
			if !ok {
				continue
			}
			require.NotContains(t, inUse, addr)
			for _, other := range as.free {
				require.LessOrEqual(t, freed[addr], freed[other], "%s was free before %s", other, addr)
			}
			inUse = append(inUse, addr)
		}
		require.Len(t, as.free, total-len(inUse))
	})
}
