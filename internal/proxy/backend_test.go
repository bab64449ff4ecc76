package proxy

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackend_NobodyEntersOnceItIsEmpty(t *testing.T) {
	for range 50 {
		b := newBackend("a.web.v1.1")
		var empty atomic.Bool
		var visitors sync.WaitGroup
		begun := make(chan bool, 4)
		for range 4 {
			visitors.Go(func() {
				x := new(exchange)
				for b.enter(x) {
					if empty.Load() {
						t.Error("entered an empty backend")
					}
					select {
					case begun <- true:
					default:
					}
					b.leave(x)
				}
			})
		}
		<-begun
		<-b.drain()
		empty.Store(true)
		visitors.Wait()
		require.Zero(t, b.inFlight.Load())
		require.Empty(t, b.exchanges)
	}
}

func TestBackend_StartsAfresh(t *testing.T) {
	b := newBackend("a.web.v1.1")
	<-b.drain()
	b.downUntil.Store(time.Now().Add(time.Hour).UnixNano())
	b.reopen()
	x := new(exchange)
	require.True(t, b.well(time.Now().UnixNano()))
	require.True(t, b.enter(x))
	idle := b.drain()
	require.False(t, await(idle, time.Millisecond))
	b.leave(x)
	<-idle
}
