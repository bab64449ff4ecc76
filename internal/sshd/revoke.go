package sshd

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// guests are the connections of those who have proved who they are.
type guests struct {
	mu     sync.Mutex
	inside map[*connection]struct{}
}

func (g *guests) enter(c *connection) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside == nil {
		g.inside = map[*connection]struct{}{}
	}
	g.inside[c] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.inside, c)
	}
}

// expel closes the connections of keys that were taken away or expire, with all that
// runs on them, until ctx is done. What it misses by a hair gets no further than its
// next command: each looks its key up.
func (s *Server) expel(ctx context.Context) {
	if s.cfg.Keys == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	changes := make(chan map[string]octo.Key)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { s.watchKeys(ctx, changes) })
	expiry := time.NewTimer(0)
	defer expiry.Stop()
	var keys map[string]octo.Key
	for {
		select {
		case <-ctx.Done():
			return
		case keys = <-changes:
		case <-expiry.C:
		}
		if keys != nil {
			expiry.Reset(s.guests.check(ctx, keys, time.Now()))
		}
	}
}

func (s *Server) watchKeys(ctx context.Context, changes chan<- map[string]octo.Key) {
	for list, err := range s.cfg.Keys(ctx) {
		if err != nil {
			continue // the watch goes on by itself
		}
		keys := make(map[string]octo.Key, len(list))
		for _, k := range list {
			keys[k.Fingerprint] = k
		}
		select {
		case changes <- keys:
		case <-ctx.Done():
			return
		}
	}
}

// longAgain is when the connections are looked at again if no key expires before.
const longAgain = time.Hour

// check closes the connections whose keys open nothing any more, and says when to look
// again: when the next one expires.
func (g *guests) check(ctx context.Context, keys map[string]octo.Key, now time.Time) time.Duration {
	g.mu.Lock()
	inside := maps.Clone(g.inside)
	g.mu.Unlock()
	again := longAgain
	for _, key := range keys {
		if !key.Expires.IsZero() && key.Expires.After(now) {
			again = min(again, key.Expires.Sub(now))
		}
	}
	for c := range inside {
		if key, admitted := keys[c.fingerprint]; admitted && c.opens(key, now) {
			continue
		}
		// What was watched may be older than the connection: the key itself decides.
		if key, err := c.server.cfg.Key(ctx, c.fingerprint); err != nil && !errors.Is(err, octo.ErrNotFound) || err == nil && c.opens(key, now) {
			continue
		}
		c.server.cfg.Log.Info("ssh connection closed: its key opens nothing any more", "user", c.came.User, "fingerprint", c.fingerprint)
		_ = c.ssh.Close() // the client may have closed it already
	}
	return again
}

// opens reports whether a key still opens what it did when the connection was made.
func (c *connection) opens(key octo.Key, now time.Time) bool {
	return !key.Expired(now) && key.Identity("") == c.came
}
