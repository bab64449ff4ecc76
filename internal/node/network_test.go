package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

func newTestNetworks(t *testing.T, pools ...string) (*networks, *enginetest.Fake) {
	t.Helper()
	fake := enginetest.NewFake(enginetest.FakeConfig{})
	t.Cleanup(func() { require.NoError(t, fake.Close()) })
	return newNetworks(&Config{Engine: fake, Host: testHost, Pools: pools}), fake
}

func TestNetworks_MakesAnotherWhenOneIsFull(t *testing.T) {
	ns, fake := newTestNetworks(t, "10.213.0.0/16")
	taken := map[place]bool{}
	for range perNetwork + 1 {
		p, err := ns.take(t.Context())
		require.NoError(t, err)
		require.False(t, taken[p])
		taken[p] = true
	}
	made, err := fake.Networks(t.Context(), map[string]string{engine.LabelHost: testHost})
	require.NoError(t, err)
	require.Len(t, made, 2)
	for p := range taken {
		ns.free(p)
	}
	p, err := ns.take(t.Context())
	require.NoError(t, err)
	require.Equal(t, "octohost-01234567-1", p.network)
	require.False(t, taken[p], "an address that was not used for longer comes first")
}

func TestNetworks_ManyAtOnceMakeOneNetwork(t *testing.T) {
	ns, fake := newTestNetworks(t, "10.213.0.0/16")
	var wg sync.WaitGroup
	places := make(chan place, 50)
	for range 50 {
		wg.Go(func() {
			p, err := ns.take(t.Context())
			if err == nil {
				places <- p
			}
		})
	}
	wg.Wait()
	close(places)
	seen := map[place]bool{}
	for p := range places {
		seen[p] = true
	}
	require.Len(t, seen, 50)
	made, err := fake.Networks(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, made, 1)
}

func TestNetworks_NoRoomLeft(t *testing.T) {
	ns, _ := newTestNetworks(t, "10.213.0.0/22")
	for range perNetwork {
		_, err := ns.take(t.Context())
		require.NoError(t, err)
	}
	_, err := ns.take(t.Context())
	require.ErrorIs(t, err, octo.ErrConflict)
	require.ErrorContains(t, err, "make network octohost-01234567-2")
}

func TestNetworks_LearnsWhatIsThere(t *testing.T) {
	ns, _ := newTestNetworks(t, "10.213.0.0/16")
	ns.learn([]place{
		{"octohost-01234567-1", netip.MustParseAddr("10.213.0.9")},
		{"octohost-01234567-1", netip.MustParseAddr("10.213.0.3")},
		{"octohost-01234567-1", netip.MustParseAddr("10.213.0.4")},
	})
	for _, want := range []string{"10.213.0.5", "10.213.0.6", "10.213.0.7", "10.213.0.8", "10.213.0.10"} {
		p, err := ns.take(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, p.address.String())
	}
}

func TestNetworks_MakesAgainWhatWasRemoved(t *testing.T) {
	ns, fake := newTestNetworks(t, "10.213.0.0/16")
	first, err := ns.take(t.Context())
	require.NoError(t, err)
	made, err := fake.Networks(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, fake.RemoveNetwork(t.Context(), made[0].ID))
	ns.forget(first.network)
	second, err := ns.take(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	made, err = fake.Networks(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, made, 1)
}

func TestNetworks_EngineIsAway(t *testing.T) {
	ns, fake := newTestNetworks(t, "10.213.0.0/16")
	fake.Lose(false)
	_, err := ns.take(t.Context())
	require.ErrorIs(t, err, octo.ErrUnavailable)
	fake.Return()
	_, err = ns.take(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ns.forget("octohost-01234567-1")
	ns.making <- struct{}{} // somebody else is at it
	_, err = ns.take(ctx)
	require.True(t, errors.Is(err, context.Canceled))
}

func TestAddressesOf_ReadsWhatEnginesSay(t *testing.T) {
	for _, tc := range []struct {
		net   engine.Network
		first string
	}{
		{engine.Network{Subnet: "10.1.0.0/24", Gateway: "10.1.0.1", Reserved: "10.1.0.192/26"}, "10.1.0.2"},
		{engine.Network{Subnet: "10.1.0.0/24", Gateway: "10.1.0.1/24"}, "10.1.0.2"},
		{engine.Network{Subnet: "10.1.0.0/24"}, "10.1.0.1"},
		{engine.Network{Subnet: "nonsense"}, ""},
		{engine.Network{Subnet: "10.1.0.0/24", Gateway: "nonsense"}, ""},
		{engine.Network{Subnet: "10.1.0.0/24", Reserved: "10.1.0.0/99"}, ""},
	} {
		t.Run(fmt.Sprint(tc.net), func(t *testing.T) {
			as, err := addressesOf(tc.net)
			if tc.first == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.first, as.free[0].String())
		})
	}
}

// Networks that nobody is in any more go, but for the first; whoever needs one again
// gets it.
func TestNetworks_AreGivenBack(t *testing.T) {
	ns, fake := newTestNetworks(t, "10.213.0.0/16")
	var places []place
	for range perNetwork + 1 {
		p, err := ns.take(t.Context())
		require.NoError(t, err)
		places = append(places, p)
	}
	gone, err := ns.spare(t.Context(), fake, false)
	require.NoError(t, err)
	require.Empty(t, gone)
	ns.free(places[perNetwork])
	gone, err = ns.spare(t.Context(), fake, true)
	require.NoError(t, err)
	require.Equal(t, []string{ns.name(2)}, gone)
	for range 2 {
		gone, err = ns.spare(t.Context(), fake, false)
		require.NoError(t, err)
	}
	require.Empty(t, gone, "it went the first time")
	made, err := fake.Networks(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, made, 1)
	p, err := ns.take(t.Context())
	require.NoError(t, err)
	require.Equal(t, ns.name(2), p.network)
	made, err = fake.Networks(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, made, 2, "made again")
	for _, p := range places[:perNetwork] {
		ns.free(p)
	}
	gone, err = ns.spare(t.Context(), fake, false)
	require.NoError(t, err)
	require.Empty(t, gone, "the first stays, and the other one is in use")
}
