package audit

import (
	"sync"
	"time"
)

// ration bounds how many records of a kind are kept in a period, in all and from each
// source, and counts the others.
type ration struct {
	period    time.Duration
	each, all int

	mu     sync.Mutex
	began  time.Time
	taken  int
	seen   map[string]int // never more than all
	missed int
}

// take reports whether one more from source may be kept, and how many were not before
// it.
func (r *ration) take(source string, now time.Time) (missed int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.began); since >= r.period || since < 0 {
		r.began, r.taken, r.seen = now, 0, map[string]int{}
	}
	if r.taken >= r.all || r.seen[source] >= r.each {
		r.missed++
		return 0, false
	}
	r.taken++
	r.seen[source]++
	missed, r.missed = r.missed, 0
	return missed, true
}
