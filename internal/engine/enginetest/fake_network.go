package enginetest

import (
	"context"
	"net/netip"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// EnsureNetwork returns the network of that name and labels, or makes it up. With a
// pool inside of 127.0.0.0/8 the addresses work on this machine.
func (f *Fake) EnsureNetwork(_ context.Context, spec engine.NetworkSpec) (engine.Network, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return engine.Network{}, err
	}
	var taken []netip.Prefix
	for _, n := range f.networks {
		if n.Name == spec.Name && hasLabels(n.labels, spec.Labels) {
			return n.Network, nil
		}
		if n.Name == spec.Name {
			return engine.Network{}, octo.Errorf(octo.ErrConflict, "a network named %s exists that is not ours", spec.Name)
		}
		taken = append(taken, netip.MustParsePrefix(n.Subnet))
	}
	free, err := engine.FreeSubnets(spec, taken)
	if err != nil {
		return engine.Network{}, err
	}
	if len(free) == 0 {
		return engine.Network{}, octo.Errorf(octo.ErrConflict, "no subnet of %d bits is free", spec.SubnetBits)
	}
	n := fakeNetwork{labels: spec.Labels, Network: engine.Network{
		ID: randomID(), Name: spec.Name, Subnet: free[0].String(),
		Gateway: free[0].Addr().Next().String(), Reserved: engine.LastQuarter(free[0]).String(),
	}}
	f.networks[n.ID] = n
	return n.Network, nil
}

// Networks returns the networks with these labels.
func (f *Fake) Networks(_ context.Context, labels map[string]string) ([]engine.Network, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return nil, err
	}
	var out []engine.Network
	for _, n := range f.networks {
		if hasLabels(n.labels, labels) {
			out = append(out, n.Network)
		}
	}
	return out, nil
}

// RemoveNetwork removes a network that no running container is in.
func (f *Fake) RemoveNetwork(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return err
	}
	n, ok := f.networks[id]
	if !ok {
		return nil
	}
	for _, c := range f.containers {
		if c.spec.Network == n.Name && c.State == engine.StateRunning {
			return octo.Errorf(octo.ErrConflict, "remove network: container %s is in it", c.ID)
		}
	}
	delete(f.networks, id)
	return nil
}

// network finds a network by name. The caller holds the lock.
func (f *Fake) network(name string) (fakeNetwork, bool) {
	for _, n := range f.networks {
		if n.Name == name {
			return n, true
		}
	}
	return fakeNetwork{}, false
}
