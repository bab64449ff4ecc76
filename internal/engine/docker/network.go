package docker

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// EnsureNetwork returns the network of that name and labels, and makes it if
// there is none. A network of that name with other labels is ErrConflict; so is
// having no subnet left in the pools.
func (e *Engine) EnsureNetwork(ctx context.Context, spec engine.NetworkSpec) (engine.Network, error) {
	e.networking.Lock()
	defer e.networking.Unlock()
	all, err := e.client.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return engine.Network{}, e.fail(err, "list networks")
	}
	if found, err := findNetwork(all.Items, spec); err != nil || found.ID != "" {
		return found, err
	}
	free, err := engine.FreeSubnets(spec, append(takenBy(all.Items), machineSubnets()...))
	if err != nil {
		return engine.Network{}, err
	}
	for _, subnet := range free {
		made, err := e.createNetwork(ctx, spec, subnet)
		if err != nil && strings.Contains(err.Error(), "overlap") {
			continue // with something that only the engine knows of
		}
		return made, err
	}
	return engine.Network{}, octo.Errorf(octo.ErrConflict, "no subnet of %d bits is free in %s", spec.SubnetBits, strings.Join(spec.Pools, ", ")).
		WithHint("name another address pool for octohost's networks")
}

// findNetwork returns the oldest network of spec's name and labels, or a zero one.
func findNetwork(all []network.Summary, spec engine.NetworkSpec) (engine.Network, error) {
	slices.SortFunc(all, func(a, b network.Summary) int { return a.Created.Compare(b.Created) })
	stranger := false
	for _, n := range all {
		if n.Name != spec.Name {
			continue
		}
		if hasLabels(n.Labels, spec.Labels) {
			return networkOf(n.Network), nil
		}
		stranger = true
	}
	if stranger {
		return engine.Network{}, octo.Errorf(octo.ErrConflict, "a network named %s exists that is not ours", spec.Name)
	}
	return engine.Network{}, nil
}

func hasLabels(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func (e *Engine) createNetwork(ctx context.Context, spec engine.NetworkSpec, subnet netip.Prefix) (engine.Network, error) {
	off := false
	made, err := e.client.NetworkCreate(ctx, spec.Name, client.NetworkCreateOptions{
		Driver: "bridge",
		// Without addresses of their own, and with IPv6 switched off in each
		// container, there is no way around the rule below over IPv6.
		EnableIPv6: &off,
		IPAM: &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{
			Subnet: subnet, Gateway: subnet.Addr().Next(), IPRange: engine.LastQuarter(subnet),
		}}},
		// Containers cannot reach each other, only the machine and the outside.
		Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
		Labels:  maps.Clone(spec.Labels),
	})
	if err != nil {
		return engine.Network{}, e.fail(err, "create network %s", spec.Name)
	}
	result, err := e.client.NetworkInspect(ctx, made.ID, client.NetworkInspectOptions{})
	if err != nil {
		return engine.Network{}, e.fail(err, "inspect network %s", spec.Name)
	}
	return networkOf(result.Network.Network), nil
}

// Networks returns all networks that carry these labels.
func (e *Engine) Networks(ctx context.Context, labels map[string]string) ([]engine.Network, error) {
	all, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: filter(labels)})
	if err != nil {
		return nil, e.fail(err, "list networks")
	}
	out := make([]engine.Network, 0, len(all.Items))
	for _, n := range all.Items {
		out = append(out, networkOf(n.Network))
	}
	return out, nil
}

// RemoveNetwork removes a network; one that is gone already is no error, one with
// containers in it is ErrConflict.
func (e *Engine) RemoveNetwork(ctx context.Context, id string) error {
	_, err := e.client.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	switch {
	case gone(err):
		return nil
	case err != nil && strings.Contains(err.Error(), "active endpoints"):
		return octo.Errorf(octo.ErrConflict, "remove network: %s", message(err))
	}
	return e.fail(err, "remove network")
}

func networkOf(n network.Network) engine.Network {
	out := engine.Network{ID: n.ID, Name: n.Name}
	if len(n.IPAM.Config) > 0 {
		c := n.IPAM.Config[0]
		out.Subnet, out.Gateway, out.Reserved = c.Subnet.String(), c.Gateway.String(), c.IPRange.String()
	}
	return out
}

// takenBy returns the subnets of networks.
func takenBy(all []network.Summary) []netip.Prefix {
	var taken []netip.Prefix
	for _, n := range all {
		for _, c := range n.IPAM.Config {
			taken = append(taken, c.Subnet)
		}
	}
	return taken
}

// machineSubnets returns the subnets that this machine's own interfaces are in: a
// bridge over one of them would cut the machine off. The engine refuses only what
// collides with its own networks.
func machineSubnets() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then the engine's own check has to do
	}
	var taken []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p.Masked())
		}
	}
	return taken
}
