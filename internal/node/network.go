package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	// perNetwork is how many instances share a bridge: the kernel allows 1024 ports
	// on one, and a subnet of 1024 addresses has others to spare.
	perNetwork = 700
	subnetBits = 22
	// maxNetworks is a limit against running away, not a wish.
	maxNetworks = 256
)

// place is an address in a network.
type place struct {
	network string
	address netip.Addr
}

func (p place) valid() bool { return p.address.IsValid() }

// networks gives every container its place: an address of its own on one of the
// shared bridges of this octohost, which are made when they are needed.
type networks struct {
	engine Lifecycle
	host   string
	prefix string // of the networks' names
	pools  []string
	making chan struct{} // holds a token while the engine is asked for a network

	mu   sync.Mutex
	nets map[string]*network
}

// network is what is known of one of them.
type network struct {
	seen   engine.Network // as the engine told it last
	sure   bool           // it is there, as far as anybody knows
	free   *addresses     // nil before the engine has told
	held   map[netip.Addr]bool
	cursor netip.Addr // where giving out begins
}

func newNetworks(cfg *Config) *networks {
	return &networks{
		engine: cfg.Engine, host: cfg.Host, pools: cfg.Pools,
		prefix: "octohost-" + shortHost(cfg.Host) + "-",
		making: make(chan struct{}, 1), nets: map[string]*network{},
	}
}

// take gives out a place on the first network that has room, and makes that
// network if need be.
func (n *networks) take(ctx context.Context) (place, error) {
	for i := range maxNetworks {
		name := n.name(i + 1)
		for n.room(name) {
			if p, ok := n.tryTake(name); ok {
				return p, nil
			}
			if err := n.ensure(ctx, name); err != nil {
				return place{}, err
			}
		}
	}
	return place{}, octo.Errorf(octo.ErrConflict, "every network of this octohost is full").
		WithHint("remove apps that are not needed, or add a machine")
}

// name names the ith network, from 1.
func (n *networks) name(i int) string { return fmt.Sprintf("%s%d", n.prefix, i) }

// room reports whether a network may have one more container.
func (n *networks) room(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	net := n.net(name)
	return len(net.held) < perNetwork && (!net.sure || len(net.free.free) > 0)
}

// tryTake gives out a place on a network that is known to be there.
func (n *networks) tryTake(name string) (place, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	net := n.net(name)
	if !net.sure || len(net.held) >= perNetwork {
		return place{}, false
	}
	addr, ok := net.free.take()
	if ok {
		net.held[addr] = true
	}
	return place{name, addr}, ok
}

// free takes a place back.
func (n *networks) free(p place) {
	if !p.valid() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	net := n.net(p.network)
	delete(net.held, p.address)
	if net.free != nil {
		net.free.release(p.address)
	}
}

// learn marks the places of containers that exist. They are given in the order in
// which the containers were started: addresses go on behind the last.
func (n *networks) learn(places []place) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, net := range n.nets {
		net.sure = false // what is known of networks may be wrong as well
	}
	for _, p := range places {
		net := n.net(p.network)
		net.held[p.address], net.cursor = true, p.address
		if net.free != nil {
			net.free.hold(p.address)
		}
	}
}

// forget makes the next take look at a network again: it may be gone.
func (n *networks) forget(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.net(name).sure = false
}

func (n *networks) net(name string) *network {
	if n.nets[name] == nil {
		n.nets[name] = &network{held: map[netip.Addr]bool{}}
	}
	return n.nets[name]
}

// ensure lets the engine make a network, unless it is there.
func (n *networks) ensure(ctx context.Context, name string) error {
	select {
	case n.making <- struct{}{}:
		defer func() { <-n.making }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if n.known(name) {
		return nil // somebody else has asked meanwhile
	}
	seen, err := n.engine.EnsureNetwork(ctx, engine.NetworkSpec{
		Name: name, Labels: map[string]string{engine.LabelHost: n.host},
		Pools: n.pools, SubnetBits: subnetBits,
	})
	if err != nil {
		return fmt.Errorf("make network %s: %w", name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.net(name).set(seen)
}

func (n *networks) known(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.net(name).sure
}

// set takes over what the engine says. As long as that is what it said before, the
// order of the free addresses stays.
func (n *network) set(seen engine.Network) error {
	if n.free == nil || seen != n.seen {
		as, err := addressesOf(seen)
		if err != nil {
			return fmt.Errorf("look at network %s: %w", seen.Name, err)
		}
		as.startAfter(n.cursor)
		for addr := range n.held {
			as.hold(addr)
		}
		n.free, n.seen = as, seen
	}
	n.sure = true
	return nil
}

func addressesOf(net engine.Network) (*addresses, error) {
	subnet, err := netip.ParsePrefix(net.Subnet)
	if err != nil {
		return nil, fmt.Errorf("read subnet: %w", err)
	}
	reserved, err := parseRange(net.Reserved)
	if err != nil {
		return nil, fmt.Errorf("read reserved range: %w", err)
	}
	gateway, err := parseRange(net.Gateway)
	if err != nil {
		return nil, fmt.Errorf("read gateway: %w", err)
	}
	return newAddresses(subnet, reserved, gateway.Addr()), nil
}

// parseRange reads a prefix, or a single address; nothing is the invalid prefix.
func parseRange(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return addr.Prefix(addr.BitLen())
}

// placeOf is where a container is, or will be when it runs again.
func placeOf(c engine.Container) place {
	addr, err := netip.ParseAddr(c.Labels[engine.LabelAddress])
	if err != nil {
		return place{}
	}
	return place{c.Labels[engine.LabelNetwork], addr}
}

// placesOf returns the places of containers, in the order of their last start.
func placesOf(cs []engine.Container) []place {
	cs = slices.Clone(cs)
	slices.SortStableFunc(cs, func(a, b engine.Container) int { return a.Started.Compare(b.Started) })
	var ps []place
	for _, c := range cs {
		if p := placeOf(c); p.valid() {
			ps = append(ps, p)
		}
	}
	return ps
}
