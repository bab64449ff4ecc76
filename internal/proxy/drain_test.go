package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// drained drains an instance in the background.
func (r *rig) drained(ctx context.Context, id octo.InstanceID) <-chan int {
	done := make(chan int)
	go func() { // ends with the drain
		n, err := r.Drain(ctx, id)
		if err != nil {
			r.t.Error(err)
		}
		done <- n
	}()
	require.Eventually(r.t, func() bool { return r.Stats(id).Draining }, time.Second, time.Millisecond)
	return done
}

func TestDrain_WaitsForWhatIsInFlight(t *testing.T) {
	r := start(t)
	begun, finish := make(chan bool), make(chan bool)
	id := r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		begun <- true
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	r.run("app.web.v2.1", hello("new"))
	answer := make(chan string)
	go func() { // ends with its answer
		_, body := r.get("app.test", "/")
		answer <- body
	}()
	<-begun
	r.route("app", "app.web.v2.1")
	done := r.drained(t.Context(), id)
	again := r.drained(t.Context(), id)
	_, body := r.get("app.test", "/")
	require.Equal(t, "new", body)
	require.Equal(t, 1, r.InFlight(id))
	close(finish)
	require.Zero(t, <-done)
	require.Zero(t, <-again)
	require.Equal(t, "whole", <-answer)
	n, err := r.Drain(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestDrain_CutsStreamsAndSocketsWhenTimeIsUp(t *testing.T) {
	r := start(t)
	id := r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/socket" {
			echoSocket(w, q)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data\n")
		flush(w)
		<-q.Context().Done()
	})
	s, err := openSocket(r.dial(), "app.test")
	require.NoError(t, err)
	require.NoError(t, s.echo("hello"))
	stream := r.do(r.request("GET", "app.test", "/", nil))
	events := bufio.NewReader(stream.Body)
	_, err = events.ReadString('\n')
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	done := r.drained(ctx, id)
	require.NoError(t, s.echo("still there"))
	cancel()
	require.Equal(t, 2, <-done)
	_, err = events.ReadByte()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = s.r.ReadByte()
	require.Error(t, err)
	for i := range 2 {
		rec := r.log.await(t, i+1)
		if !rec.Upgraded {
			require.Equal(t, errCut.Error(), rec.Error)
		}
	}
}

func TestDrain_CutsRequestsThatHaveNoAnswerYetWithAPage(t *testing.T) {
	r := start(t)
	begun := make(chan bool)
	id := r.site("app", func(_ http.ResponseWriter, q *http.Request) {
		begun <- true
		<-q.Context().Done()
	})
	status := make(chan int)
	go func() { status <- r.do(r.request("GET", "app.test", "/", nil)).StatusCode }() // ends with its answer
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n, err := r.Drain(ctx, id)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 503, <-status)
}

func TestDrain_CutsAClientThatDoesNotRead(t *testing.T) {
	r := start(t)
	id := r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		b := make([]byte, 1<<20)
		for {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n\n")
	require.Equal(t, "HTTP/1.1 200 OK", c.line())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // let it get stuck
	defer cancel()
	n, err := r.Drain(ctx, id)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Zero(t, r.InFlight(id))
}

func TestDrain_ARoutedInstanceIsNotUsedUntilItIsForgotten(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = time.Millisecond })
	id := r.site("app", hello("here"))
	_, err := r.Drain(t.Context(), id)
	require.NoError(t, err)
	res, _ := r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
	r.Forget(id)
	res, _ = r.get("app.test", "/")
	require.Equal(t, 200, res.StatusCode, "another of the same name")
}

func TestDrain_OfAnInstanceNobodyKnowsYet(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = time.Millisecond })
	n, err := r.Drain(t.Context(), "app.web.v1.1")
	require.NoError(t, err)
	require.Zero(t, n)
	r.site("app", hello("here"))
	res, _ := r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
}

func TestForget_CutsWhatNobodyWillAnswer(t *testing.T) {
	r := start(t)
	begun := make(chan bool)
	id := r.site("app", func(_ http.ResponseWriter, q *http.Request) {
		begun <- true
		<-q.Context().Done()
	})
	status := make(chan int)
	go func() { status <- r.do(r.request("GET", "app.test", "/", nil)).StatusCode }() // ends with its answer
	<-begun
	r.Forget(id)
	require.Equal(t, 503, <-status)
}

func TestForget_ClosesIdleConnectionsAndDropsState(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.PooledIdle = time.Minute })
	id := octo.InstanceID("app.web.v1.1")
	closed := make(chan bool, 1)
	r.run(id, hello("x"), func(s *http.Server) {
		s.ConnState = func(_ net.Conn, now http.ConnState) {
			if now == http.StateClosed {
				closed <- true
			}
		}
	})
	r.route("app", id)
	r.get("app.test", "/")
	require.Equal(t, Stats{Requests: 1}, r.Stats(id))
	r.route("app")
	_, err := r.Drain(t.Context(), id)
	require.NoError(t, err)
	r.Forget(id)
	<-closed
	r.Forget(id)
	require.Zero(t, r.Stats(id))
	require.Empty(t, r.fleet.backends)
}
