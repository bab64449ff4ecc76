package node

import (
	"net/netip"
	"slices"
)

// addresses gives out the addresses of one subnet, that which was given back
// longest ago first, so that one that was just in use is not soon another's.
type addresses struct {
	free []netip.Addr // in the order in which they are given out
	used map[netip.Addr]bool
}

// newAddresses returns the addresses of subnet without its network and broadcast
// address, without those of reserved (which may be invalid: none), and without
// gateway.
func newAddresses(subnet, reserved netip.Prefix, gateway netip.Addr) *addresses {
	a := &addresses{used: map[netip.Addr]bool{}}
	subnet = subnet.Masked()
	for addr := subnet.Addr().Next(); subnet.Contains(addr); addr = addr.Next() {
		broadcast := !subnet.Contains(addr.Next())
		if !broadcast && addr != gateway && !reserved.Contains(addr) {
			a.free = append(a.free, addr)
		}
	}
	return a
}

// take gives out an address, or false when all are in use.
func (a *addresses) take() (netip.Addr, bool) {
	if len(a.free) == 0 {
		return netip.Addr{}, false
	}
	addr := a.free[0]
	a.free = a.free[1:]
	a.used[addr] = true
	return addr, true
}

// hold marks an address that a container has already.
func (a *addresses) hold(addr netip.Addr) {
	if i := slices.Index(a.free, addr); i >= 0 {
		a.free = slices.Delete(a.free, i, i+1)
	}
	a.used[addr] = true
}

// startAfter makes the first free address behind addr the next to be given out.
func (a *addresses) startAfter(addr netip.Addr) {
	i := slices.IndexFunc(a.free, addr.Less)
	if i > 0 {
		a.free = slices.Concat(a.free[i:], a.free[:i])
	}
}

// release takes an address back; it will be given out again after all the others.
func (a *addresses) release(addr netip.Addr) {
	if a.used[addr] {
		delete(a.used, addr)
		a.free = append(a.free, addr)
	}
}
