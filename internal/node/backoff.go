package node

import "time"

const (
	// maxBackoff is the longest wait between two starts of an instance.
	maxBackoff = time.Minute
	// steadyAfter is how long an instance must have run for its earlier starts to be
	// forgotten.
	steadyAfter = 10 * time.Minute
	// maxAttempts is how many starts in a row may fail while a release rolls out.
	maxAttempts = 3
	// maxPatience bounds how long a live release may take to answer after a start.
	maxPatience = 10 * time.Minute
)

// backoff is how long to wait before the next start, after so many in a row that
// did not last: 0 s, 1 s, 2 s, 4 s … 60 s.
func backoff(attempts int) time.Duration {
	if attempts <= 1 {
		return 0
	}
	if attempts > 7 {
		return maxBackoff
	}
	return min(time.Second<<(attempts-2), maxBackoff)
}

// patience is how long an instance may take from its start to its first good
// answer. A live release gets twice as long with each start that was too slow: what
// cannot start in time because the whole machine starts must not be kept from it.
func patience(deadline time.Duration, live bool, attempts int) time.Duration {
	if !live || attempts <= 1 {
		return deadline
	}
	return max(deadline, min(deadline<<min(attempts-1, 10), maxPatience))
}
