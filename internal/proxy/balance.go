package proxy

import (
	"math/rand/v2"
	"slices"
)

// pick chooses the instance for a request: of two random ones that are well, the
// one with fewer requests in flight. One that could not be dialled lately is taken
// only when there is no other, but then it is: the last candidate is never refused.
// Those in tried were tried already. It returns nil when nobody is left, and does
// not allocate.
func (s *site) pick(tried []*backend, now int64) *backend {
	n := len(s.backends)
	if n == 0 {
		return nil
	}
	first := rand.IntN(n)
	a := s.backends[first]
	if n == 1 {
		return keep(a, tried)
	}
	second := rand.IntN(n - 1)
	if second >= first {
		second++
	}
	b := s.backends[second]
	if a.well(now) && b.well(now) && len(tried) == 0 {
		return lighter(a, b)
	}
	return s.search(tried, now, first)
}

// search looks at all from a random start, for when chance has not hit two that
// are well.
func (s *site) search(tried []*backend, now int64, first int) *backend {
	var best, last *backend
	for i := range s.backends {
		b := keep(s.backends[(first+i)%len(s.backends)], tried)
		switch {
		case b == nil:
		case b.well(now):
			best = lighter(best, b)
		case last == nil || b.downUntil.Load() < last.downUntil.Load():
			last = b
		}
	}
	if best == nil {
		return last
	}
	return best
}

// keep returns b if it may be tried.
func keep(b *backend, tried []*backend) *backend {
	if b.draining.Load() || slices.Contains(tried, b) {
		return nil
	}
	return b
}

// lighter returns the one with fewer requests in flight; a may be nil.
func lighter(a, b *backend) *backend {
	if a == nil || b.inFlight.Load() < a.inFlight.Load() {
		return b
	}
	return a
}
