package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestProxy_SendsARequestToTheAppOfItsHost(t *testing.T) {
	r := start(t)
	r.site("one", hello("I am one"))
	r.site("two", hello("I am two"))
	for _, host := range []string{"one.test", "ONE.test", "one.test.", "one.test:8080", "One.Test.:80"} {
		res, body := r.get(host, "/")
		require.Equal(t, 200, res.StatusCode)
		require.Equal(t, "I am one", body, host)
	}
	_, body := r.get("two.test", "/")
	require.Equal(t, "I am two", body)
}

func TestProxy_NeverMatchesAHostByItsBeginning(t *testing.T) {
	r := start(t)
	r.site("one", hello("I am one"))
	for _, host := range []string{"one", "one.tes", "one.test.de", "xone.test", "a.one.test", "127.0.0.1"} {
		res, body := r.get(host, "/")
		require.Equal(t, 404, res.StatusCode, host)
		require.NotContains(t, body, "one is", host)
	}
}

func TestProxy_PassesTheRequestOnAsItCame(t *testing.T) {
	r := start(t)
	seen := make(chan *http.Request, 1)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) { seen <- q })
	for _, target := range []string{
		"/", "/a?b=c", "/a%2Fb|c/%7e", "//double//slash", "/?", "/a?x=1;y=2&z=%zz", "/a?q=%", "/%E2%82%AC/ä", "*",
	} {
		c := r.dial()
		method := "GET"
		if target == "*" {
			method = "OPTIONS"
		}
		c.send(method + " " + target + " HTTP/1.1\nHost: App.test:81\nX-Own: 1\nX-Own: 2\n\n")
		require.Equal(t, 200, c.response().StatusCode, target)
		q := <-seen
		require.Equal(t, target, q.RequestURI)
		require.Equal(t, "App.test:81", q.Host)
		require.Equal(t, []string{"1", "2"}, q.Header["X-Own"])
		require.NotContains(t, q.Header, "User-Agent")
		require.NotContains(t, q.Header, "Accept-Encoding")
	}
}

func TestProxy_TakesAbsoluteTargetsByTheirHost(t *testing.T) {
	r := start(t)
	seen := make(chan *http.Request, 1)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) { seen <- q })
	c := r.dial()
	c.send("GET http://app.test/x?y HTTP/1.1\nHost: other.test\n\n")
	require.Equal(t, 200, c.response().StatusCode)
	q := <-seen
	require.Equal(t, "/x?y", q.RequestURI)
	require.Equal(t, "app.test", q.Host)
}

func TestProxy_PassesTheAnswerOnAsItCame(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("X-Request-Id", "the app's own")
		w.WriteHeader(418)
		_, _ = io.WriteString(w, "<html>not to be sniffed")
	})
	res, body := r.get("app.test", "/")
	require.Equal(t, 418, res.StatusCode)
	require.Equal(t, "<html>not to be sniffed", body)
	require.Equal(t, []string{"a=1", "b=2"}, res.Header["Set-Cookie"])
	require.NotContains(t, res.Header, "Content-Type")
	require.Len(t, res.Header[headerID], 1)
	require.NotEqual(t, "the app's own", res.Header.Get(headerID))
}

func TestProxy_AnswersHeadWithLengthAndNoBody(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "12345") })
	for host, status := range map[string]int{"app.test": 200, "none.test": 404} {
		c := r.dial()
		c.send("HEAD / HTTP/1.1\nHost: " + host + "\nConnection: close\n\n")
		res, err := http.ReadResponse(c.r, &http.Request{Method: "HEAD"})
		require.NoError(t, err)
		require.Equal(t, status, res.StatusCode)
		require.Positive(t, res.ContentLength)
		rest, err := io.ReadAll(c.r)
		require.NoError(t, err)
		require.Empty(t, rest)
	}
}

func TestProxy_KeepsConnectionsToInstances(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.PooledIdle = time.Minute })
	remotes := make(chan string, 10)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) { remotes <- q.RemoteAddr })
	for range 10 {
		r.get("app.test", "/")
	}
	first := <-remotes
	for range 9 {
		require.Equal(t, first, <-remotes)
	}
}

func TestProxy_ReachesAnInstanceAndNeverAnAddress(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = time.Millisecond })
	first := r.site("one", hello("I am one"))
	_, body := r.get("one.test", "/")
	require.Equal(t, "I am one", body)

	// The container is gone, and another app's gets its address.
	addr, _ := r.resolve(first)
	second := octo.NewInstanceID("two", octo.Web, 1, 1)
	r.place(first, "")
	r.Forget(first)
	r.place(second, addr)
	r.route("two", second)
	res, _ := r.get("one.test", "/")
	require.Equal(t, 503, res.StatusCode)
	res, _ = r.get("two.test", "/")
	require.Equal(t, 200, res.StatusCode)
}

func TestProxy_ChecksTheAddressOnceMoreAfterDialling(t *testing.T) {
	var asked int
	r := start(t, func(c *Config) {
		c.Limits.Hold = time.Millisecond
		resolve := c.Resolve
		c.Resolve = func(id octo.InstanceID) (string, bool) {
			asked++
			if asked%2 == 0 {
				return "", false // it went away while it was dialled
			}
			return resolve(id)
		}
	})
	r.site("app", func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	res, _ := r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
}

func TestProxy_DoesNotTunnel(t *testing.T) {
	r := start(t)
	r.site("app", hello("no"))
	c := r.dial()
	c.send("CONNECT app.test:80 HTTP/1.1\nHost: app.test:80\n\n")
	require.Equal(t, 405, c.response().StatusCode)
}

func TestRun_LetsRequestsInFlightEnd(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Shutdown = 10 * time.Second })
	begun, finish := make(chan bool), make(chan bool)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	answer := make(chan string)
	go func() { // ends with its answer
		_, body := r.get("app.test", "/")
		answer <- body
	}()
	<-begun
	stopped := make(chan bool)
	go func() { r.stop(); close(stopped) }() // ends with Run
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", r.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond)
	close(finish)
	require.Equal(t, "whole", <-answer)
	<-stopped
	require.Len(t, r.log.all(t), 1) // the log was written to its end
}

func TestRun_CutsWhatDoesNotEnd(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Shutdown = 50 * time.Millisecond })
	begun := make(chan bool)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-q.Context().Done()
	})
	res := r.do(r.request("GET", "app.test", "/", nil))
	<-begun
	idle := r.dial() // an unused connection must not hold it up
	r.stop()
	_, err := io.ReadAll(res.Body)
	require.Error(t, err)
	_, err = idle.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, errShutdown.Error(), r.log.await(t, 1).Error)
}

func TestRun_LeavesNothingBehind(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Shutdown = 50 * time.Millisecond })
	r.site("app", busy)
	r.get("app.test", "/")
	r.dial()
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: app.test\nContent-Length: 10\n\nhalf")
	s, err := openSocket(r.dial(), "app.test")
	require.NoError(t, err)
	require.NoError(t, s.echo("x"))
	r.stop()
	_, err = s.r.ReadByte()
	require.Error(t, err)
	require.Eventually(t, func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !bytes.Contains(stacks, []byte("internal/proxy.(*")) && !bytes.Contains(stacks, []byte("persistConn"))
	}, 5*time.Second, 10*time.Millisecond)
}

func TestRun_FailsWithItsListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p, err := New(Config{Listener: l, Resolve: func(octo.InstanceID) (string, bool) { return "", false }})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, p.Run(t.Context()), net.ErrClosed)
}

func TestNew_WantsWhatItNeeds(t *testing.T) {
	_, err := New(Config{})
	require.Error(t, err)
}

func TestWaitRoute(t *testing.T) {
	r := start(t)
	has := func(n int) func(octo.Route, bool) bool {
		return func(route octo.Route, ok bool) bool { return ok && len(route.Backends) == n }
	}
	done := make(chan error, 1)
	go func() { done <- r.WaitRoute(t.Context(), "app", has(2)) }() // ends with the route
	r.route("app")
	r.route("other")
	r.route("app", "app.web.v1.1")
	require.Empty(t, done, "too early")
	r.route("app", "app.web.v1.1", "app.web.v1.2")
	require.NoError(t, <-done)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("never mind"))
	require.ErrorContains(t, r.WaitRoute(ctx, "app", has(3)), "never mind")
	r.SetShard("app", nil)
	gone := func(_ octo.Route, ok bool) bool { return !ok }
	require.NoError(t, r.WaitRoute(t.Context(), "app", gone))
}

func TestTotals(t *testing.T) {
	r := start(t)
	r.SetTable(map[string][]octo.Route{
		"00": {{App: "a", Hosts: []string{"a.test", "A.test.", "b.test"}}, {App: "b"}},
		"01": {{App: "c", Hosts: []string{"c.test"}}},
	})
	require.Equal(t, Totals{Sites: 3, Hosts: 3}, r.Totals())
	r.SetTable(map[string][]octo.Route{"01": {{App: "c", Hosts: []string{"c.test", strings.Repeat("x", 64)}}}})
	require.Equal(t, Totals{Sites: 1, Hosts: 1}, r.Totals())
}
