package sshd

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// tally counts the sessions of a connection.
type tally struct {
	mu     sync.Mutex
	most   int
	open   int
	since  time.Time // when open became 0
	ending bool
	empty  chan struct{} // closed when ending and open is 0
}

func newTally(most int) *tally {
	return &tally{most: most, since: time.Now(), empty: make(chan struct{})}
}

// enter counts one in, unless there are too many or it is the end.
func (t *tally) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ending || t.open == t.most {
		return false
	}
	t.open++
	return true
}

func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open--; t.open > 0 {
		return
	}
	t.since = time.Now()
	if t.ending {
		close(t.empty)
	}
}

// end lets nobody in any more, once; the answer is closed when the last has left.
func (t *tally) end() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = true
	if t.open == 0 {
		close(t.empty)
	}
	return t.empty
}

// idle says for how long there has been no session.
func (t *tally) idle() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open > 0 {
		return 0
	}
	return time.Since(t.since)
}

// gate bounds how many are inside, in all and from each neighborhood: an IPv4
// address or an IPv6 network.
type gate struct {
	most, each int

	mu    sync.Mutex
	all   int
	areas map[netip.Prefix]int
}

// enter counts one in from addr; false means that there are too many.
func (g *gate) enter(addr net.Addr) (leave func(), ok bool) {
	area := neighborhood(addr)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= g.most || g.areas[area] >= g.each {
		return nil, false
	}
	if g.areas == nil {
		g.areas = map[netip.Prefix]int{}
	}
	g.all++
	g.areas[area]++
	return func() { g.leave(area) }, true
}

func (g *gate) leave(area netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.areas[area]--; g.areas[area] == 0 {
		delete(g.areas, area)
	}
}

// neighborhood is the zero value for what is no IP address.
func neighborhood(addr net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(ip, bits).Masked()
}
