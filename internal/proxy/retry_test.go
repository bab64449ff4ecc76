package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

const (
	dead  octo.InstanceID = "app.web.v1.1"
	alive octo.InstanceID = "app.web.v1.2"
)

func echoBody(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		w.WriteHeader(500)
	}
	_, _ = w.Write(body)
}

func TestRetry_AnInstanceThatCannotBeDialledIsPassedOverAndAvoided(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Down = time.Minute })
	r.place(dead, deadPort(t))
	r.run(alive, echoBody)
	r.route("app", dead, alive)
	for i := range 50 {
		text := fmt.Sprint("body ", i)
		res, body := r.read(r.do(r.request("POST", "app.test", "/", strings.NewReader(text))))
		require.Equal(t, 200, res.StatusCode)
		require.Equal(t, text, body)
	}
	require.EqualValues(t, 1, r.Stats(dead).Failures, "it was asked once")
	require.True(t, r.Stats(dead).Down)
	retries := 0
	for _, rec := range r.log.first(t, 50) {
		retries += rec.Retries
	}
	require.Equal(t, 1, retries)
}

func TestRetry_AnInstanceThatIsBackIsUsedAgain(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Down = time.Millisecond })
	r.place(dead, deadPort(t))
	r.run(alive, hello("alive"))
	r.route("app", dead, alive)
	require.Eventually(t, func() bool { r.get("app.test", "/"); return r.Stats(dead).Failures > 0 }, 10*time.Second, time.Millisecond)
	r.run(dead, hello("dead"))
	require.Eventually(t, func() bool { _, body := r.get("app.test", "/"); return body == "dead" }, 10*time.Second, time.Millisecond)
	require.False(t, r.Stats(dead).Down)
}

func TestRetry_AnUnresolvedInstanceCountsAsDown(t *testing.T) {
	r := start(t)
	r.run(alive, hello("alive"))
	r.route("app", dead, alive)
	for range 20 {
		res, _ := r.get("app.test", "/")
		require.Equal(t, 200, res.StatusCode)
	}
}

func TestRetry_NoSecondTryOnceTheAppHasTheRequest(t *testing.T) {
	r := start(t)
	var seen atomic.Int32
	for _, id := range []octo.InstanceID{dead, alive} {
		r.run(id, func(http.ResponseWriter, *http.Request) {
			seen.Add(1)
			panic(http.ErrAbortHandler)
		})
	}
	r.route("app", dead, alive)
	res, _ := r.read(r.do(r.request("POST", "app.test", "/", nil)))
	require.Equal(t, 502, res.StatusCode)
	require.EqualValues(t, 1, seen.Load())
}

// fickle answers the first request of every connection, and closes the connection
// when it reads the second one: what an app does whose keep-alive time ends at the
// very moment in which a request arrives.
func fickle(t *testing.T) (addr string, requests func() int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	var n atomic.Int32
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = c.Close() }()
				r := bufio.NewReader(c)
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				n.Add(1)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = http.ReadRequest(r)
			})
		}
	})
	return l.Addr().String(), func() int { return int(n.Load()) }
}

func TestRetry_AKeptConnectionThatTheAppCloses(t *testing.T) {
	addr, requests := fickle(t)
	r := start(t, func(c *Config) { c.Limits.PooledIdle = time.Minute })
	r.place("app.web.v1.1", addr)
	r.route("app", "app.web.v1.1")
	methods := []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "GET", "DELETE"}
	for _, m := range methods {
		res := r.do(r.request(m, "app.test", "/", nil))
		require.Equal(t, 200, res.StatusCode, m)
	}
	require.Equal(t, len(methods), requests())

	// A request that may have had an effect is not repeated.
	res := r.do(r.request("POST", "app.test", "/", nil))
	require.Equal(t, 502, res.StatusCode)
	require.Equal(t, len(methods), requests())
	res = r.do(r.request("POST", "app.test", "/", nil))
	require.Equal(t, 200, res.StatusCode)
}

func TestRetry_AnAppThatClosesIdleConnectionsLosesNothing(t *testing.T) {
	r := start(t)
	r.run("app.web.v1.1", echoBody, func(s *http.Server) {
		s.IdleTimeout = time.Millisecond // shorter than the proxy keeps connections
	})
	r.route("app", "app.web.v1.1")
	client := r.client()
	for i := range 300 {
		method := []string{"GET", "PUT", "DELETE"}[i%3]
		res, err := client.Do(r.request(method, "app.test", "/", nil))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode)
		<-time.After(time.Duration(i%20) * 100 * time.Microsecond) // it closes at a varying moment
	}
}

func TestHold_ARequestWaitsForAnAppThatIsExpectedBack(t *testing.T) {
	r := start(t)
	id := r.site("app", echoBody)
	r.route("app") // its only instance is gone
	answer := make(chan string)
	go func() { // ends with its answer
		_, body := r.read(r.do(r.request("POST", "app.test", "/", strings.NewReader("patience"))))
		answer <- body
	}()
	require.Eventually(t, func() bool { return r.Totals().Held == 1 }, time.Second, time.Millisecond)
	r.route("app", id)
	require.Equal(t, "patience", <-answer)
	require.Positive(t, r.log.await(t, 1).HeldMS)
	require.Zero(t, r.Totals().Held)
}

func TestHold_AContainerThatRestartsLosesNothing(t *testing.T) {
	r := start(t)
	addr := deadPort(t)
	r.place(dead, addr)
	r.route("app", dead)
	answer := make(chan int)
	go func() { answer <- r.do(r.request("GET", "app.test", "/", nil)).StatusCode }() // ends with its answer
	require.Eventually(t, func() bool { return r.Stats(dead).Failures > 1 }, 2*time.Second, time.Millisecond)
	r.run(dead, hello("back"))
	require.Equal(t, 200, <-answer)
}

func TestHold_HasAnEnd(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = 50 * time.Millisecond })
	r.site("app", hello("x"))
	r.route("app")
	res, _ := r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
	rec := r.log.await(t, 1)
	require.GreaterOrEqual(t, rec.HeldMS, 49.0)
	require.Empty(t, rec.Instance)
}

func TestHold_OnlySoManyWait(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Held, c.Limits.Hold = 1, time.Minute })
	id := r.site("app", hello("x"))
	r.route("app")
	first := make(chan int)
	go func() { first <- r.do(r.request("GET", "app.test", "/", nil)).StatusCode }() // ends with its answer
	require.Eventually(t, func() bool { return r.Totals().Held == 1 }, time.Second, time.Millisecond)
	res, _ := r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
	r.route("app", id)
	require.Equal(t, 200, <-first)
}

func TestHold_NobodyWaitsWithoutHope(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold, c.Limits.HoldAfter = time.Minute, time.Nanosecond })
	r.route("fresh") // has never had an instance
	r.site("gone", hello("x"))
	r.route("gone") // has been away for longer than HoldAfter
	r.SetShard("crash", []octo.Route{{App: "crash", Hosts: []string{"crash.test"}, Crashed: true}})
	for host, status := range map[string]int{"fresh.test": 503, "gone.test": 503, "crash.test": 502, "none.test": 404} {
		res, _ := r.get(host, "/")
		require.Equal(t, status, res.StatusCode, host)
	}
	for _, rec := range r.log.first(t, 4) {
		require.Zero(t, rec.HeldMS)
	}
}

func TestHold_BeforeTheFirstRouteEverybodyWaits(t *testing.T) {
	r := start(t)
	answer := make(chan int)
	go func() { answer <- r.do(r.request("GET", "app.test", "/", nil)).StatusCode }() // ends with its answer
	require.Eventually(t, func() bool { return r.Totals().Held == 1 }, time.Second, time.Millisecond)
	r.site("app", hello("x"))
	require.Equal(t, 200, <-answer)
}

func TestHold_AClientMayLeave(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = time.Minute })
	r.site("app", hello("x"))
	r.route("app")
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n\n")
	require.Eventually(t, func() bool { return r.Totals().Held == 1 }, time.Second, time.Millisecond)
	require.NoError(t, c.Close())
	require.Equal(t, 499, r.log.await(t, 1).Status)
}

// TestHold_ARestartUnderLoad measures what holding is good for: the only instance of
// an app is away for a moment, as when its container restarts. Who is connected but
// not accepted yet when the app closes its listener is reset by the kernel: nobody can
// know whether the app has seen the request, so these few are not sent again.
func TestHold_ARestartUnderLoad(t *testing.T) {
	const clients, absences = 4, 3
	refused := func(hold time.Duration) int64 {
		r := start(t, func(c *Config) { c.Limits.Hold = hold })
		addr := deadPort(t)
		r.place("app.web.v1.1", addr)
		r.route("app", "app.web.v1.1")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var load sync.WaitGroup
		var refused, reset, served atomic.Int64
		for range clients {
			load.Go(func() {
				for c := r.client(); ctx.Err() == nil; served.Add(1) {
					switch err := r.once(c, "GET", "/", "v"); {
					case err == nil:
					case strings.Contains(err.Error(), "502 Bad Gateway"):
						reset.Add(1)
					default:
						refused.Add(1)
					}
				}
			})
		}
		for range absences {
			srv := appAt(t, addr)
			begun := served.Load()
			require.Eventually(t, func() bool { return served.Load() > begun+20 }, 10*time.Second, time.Millisecond)
			require.NoError(t, srv.Shutdown(t.Context()))
			<-time.After(100 * time.Millisecond) // its absence
		}
		appAt(t, addr)
		stop()
		load.Wait()
		t.Logf("hold %s: of %d requests %d were refused and %d reset in %d absences of 100 ms",
			hold, served.Load(), refused.Load(), reset.Load(), absences)
		require.LessOrEqual(t, reset.Load(), int64(clients*absences))
		return refused.Load()
	}
	require.Zero(t, refused(2*time.Second))
	require.Positive(t, refused(time.Nanosecond))
}

// appAt starts an app at an address.
func appAt(t *testing.T, addr string) *http.Server {
	t.Helper()
	var l net.Listener
	require.Eventually(t, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", addr)
		return err == nil
	}, 5*time.Second, time.Millisecond)
	srv := &http.Server{Handler: http.HandlerFunc(busy)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() { _ = srv.Close(); serving.Wait() })
	return srv
}
