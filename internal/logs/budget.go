package logs

import "time"

// budget is how many bytes an app may log: so many at once, and so many a second. What
// is logged faster than a log can hold it for half a minute is of use to nobody, and
// would only wear the disk.
type budget struct {
	burst, rate float64 // bytes, bytes a second
	left        float64
	at          time.Time
	spent       bool // it has run out, and has not recovered yet
}

// The least that an app may log, however small its log is.
const (
	minBurst = 256 << 10
	minRate  = 64 << 10
)

// newBudget returns the budget of a log of so many bytes.
func newBudget(size int64) budget {
	burst := float64(max(size/8, minBurst))
	return budget{burst: burst, rate: float64(max(size/32, minRate)), left: burst}
}

// spend takes n bytes out of the budget, or reports that it has not so many.
func (b *budget) spend(n int, now time.Time) bool {
	if b.at.IsZero() {
		b.at = now
	}
	if gone := now.Sub(b.at).Seconds(); gone > 0 {
		b.left, b.at = min(b.burst, b.left+gone*b.rate), now
	}
	// What is kept is to hang together, so nothing is until there is room for a while.
	if b.spent = b.left < float64(n) || b.spent && b.left < b.burst/4; b.spent {
		return false
	}
	b.left -= float64(n)
	return true
}
