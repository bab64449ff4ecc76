package engine

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/octohost/octohost/internal/octo"
)

// maxFree bounds how many subnets FreeSubnets returns.
const maxFree = 64

// FreeSubnets returns the first subnets of the spec's pools, in order, that overlap
// nothing that is taken. Pools that make no sense are ErrInvalid.
func FreeSubnets(spec NetworkSpec, taken []netip.Prefix) ([]netip.Prefix, error) {
	var free []netip.Prefix
	for _, text := range spec.Pools {
		pool, err := netip.ParsePrefix(text)
		if err != nil || !pool.Addr().Is4() || spec.SubnetBits < pool.Bits() || spec.SubnetBits > 29 {
			return nil, octo.Errorf(octo.ErrInvalid, "%s is not an IPv4 address pool of subnets with %d bits", text, spec.SubnetBits).
				WithHint("write for example 10.213.0.0/16 with 22 bits")
		}
		for subnet := range subnets(pool.Masked(), spec.SubnetBits) {
			if !overlaps(subnet, taken) {
				free = append(free, subnet)
			}
			if len(free) == maxFree {
				return free, nil
			}
		}
	}
	return free, nil
}

// subnets yields the subnets of a pool in ascending order.
func subnets(pool netip.Prefix, bits int) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		first := number(pool.Addr())
		for i := range uint64(1) << (bits - pool.Bits()) {
			if !yield(netip.PrefixFrom(address(first+i<<(32-bits)), bits)) {
				return
			}
		}
	}
}

func overlaps(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if p.Overlaps(o) {
			return true
		}
	}
	return false
}

// LastQuarter returns the upper fourth of an IPv4 subnet: the part that an engine
// may give addresses from by itself.
func LastQuarter(p netip.Prefix) netip.Prefix {
	size := uint64(1) << (32 - p.Bits())
	return netip.PrefixFrom(address(number(p.Addr())+size-size/4), p.Bits()+2)
}

func number(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}

func address(n uint64) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n)) //nolint:gosec // n is an IPv4 address
	return netip.AddrFrom4(b)
}
