package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// crowd counts those inside and lets one wait until they are gone. Unlike a
// sync.WaitGroup it may be entered while somebody waits.
type crowd struct {
	n    atomic.Int64
	mu   sync.Mutex
	none chan struct{} // closed when nobody is inside; nil while nobody waits
}

func (c *crowd) enter() { c.n.Add(1) }

func (c *crowd) leave() {
	if c.n.Add(-1) > 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.none != nil && c.n.Load() == 0 {
		close(c.none)
		c.none = nil
	}
}

func (c *crowd) size() int { return int(c.n.Load()) }

// gone waits until nobody is inside, or for ctx, whose error it returns.
func (c *crowd) gone(ctx context.Context) error {
	c.mu.Lock()
	if c.n.Load() == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.none == nil {
		c.none = make(chan struct{})
	}
	none := c.none
	c.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// goneWithin waits until nobody is inside, but not for longer than d.
func (c *crowd) goneWithin(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_ = c.gone(ctx) // either will do
}
