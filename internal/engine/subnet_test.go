package engine

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestFreeSubnets(t *testing.T) {
	for name, c := range map[string]struct {
		pools []string
		bits  int
		taken []string
		want  string // the first
		count int
	}{
		"first":           {[]string{"10.213.0.0/22"}, 24, nil, "10.213.0.0/24", 4},
		"host bits":       {[]string{"10.213.1.7/22"}, 24, nil, "10.213.0.0/24", 4},
		"skips taken":     {[]string{"10.213.0.0/22"}, 24, []string{"10.213.0.128/25", "10.213.1.0/24"}, "10.213.2.0/24", 2},
		"skips larger":    {[]string{"10.213.0.0/22", "10.214.0.0/24"}, 24, []string{"10.213.0.0/16"}, "10.214.0.0/24", 1},
		"whole pool":      {[]string{"127.9.0.0/24"}, 24, nil, "127.9.0.0/24", 1},
		"bounded":         {[]string{"10.0.0.0/8"}, 24, nil, "10.0.0.0/24", 64},
		"none":            {[]string{"10.213.0.0/24"}, 24, []string{"10.213.0.0/24"}, "", 0},
		"other IP family": {[]string{"10.213.0.0/24"}, 24, []string{"fd00::/8"}, "10.213.0.0/24", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var taken []netip.Prefix
			for _, p := range c.taken {
				taken = append(taken, netip.MustParsePrefix(p))
			}
			free, err := FreeSubnets(NetworkSpec{Pools: c.pools, SubnetBits: c.bits}, taken)
			require.NoError(t, err)
			require.Len(t, free, c.count)
			if c.count > 0 {
				require.Equal(t, c.want, free[0].String())
			}
		})
	}
	for _, pool := range []string{"", "10.0.0.0", "fd00::/64", "10.0.0.0/26"} {
		_, err := FreeSubnets(NetworkSpec{Pools: []string{pool}, SubnetBits: 24}, nil)
		require.ErrorIs(t, err, octo.ErrInvalid, pool)
	}
	_, err := FreeSubnets(NetworkSpec{Pools: []string{"10.0.0.0/8"}, SubnetBits: 30}, nil)
	require.ErrorIs(t, err, octo.ErrInvalid)
}

func TestLastQuarter(t *testing.T) {
	require.Equal(t, "10.213.3.0/24", LastQuarter(netip.MustParsePrefix("10.213.0.0/22")).String())
	require.Equal(t, "10.0.0.192/26", LastQuarter(netip.MustParsePrefix("10.0.0.0/24")).String())
}
