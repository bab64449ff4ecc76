package proxy

import (
	"context"
	"sync"
)

// crowd counts those inside and lets one wait until they are gone. Unlike a
// sync.WaitGroup it may be entered while somebody waits.
type crowd struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when the last one leaves; nil while nobody waits
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// gone waits until nobody is inside, or for ctx, whose error it returns.
func (c *crowd) gone(ctx context.Context) error {
	c.mu.Lock()
	if c.n == 0 {
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
