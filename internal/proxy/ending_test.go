package proxy

import (
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

// end begins to end Run, and returns a channel that is closed when it has ended.
func (r *rig) end() <-chan struct{} {
	done := make(chan struct{})
	go func() { r.stop(); close(done) }() // ends with Run
	require.Eventually(r.t, r.conns.leaving.Load, 5*time.Second, time.Millisecond)
	return done
}

// closed reports whether nobody is accepted any more.
func (r *rig) closed() bool {
	c, err := net.Dial("tcp", r.Addr().String())
	if err == nil {
		_ = c.Close()
	}
	return err != nil
}

func TestEnding_AKeptConnectionGetsALastAnswer(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.LastCall = 10 * time.Second })
	r.site("app", hello("hi"))
	kept, unused := r.dial(), r.dial()
	ask := func(c *raw) *http.Response {
		c.send("GET / HTTP/1.1\nHost: app.test\n\n")
		res := c.response()
		_, body := r.read(res)
		require.Equal(t, "hi", body)
		return res
	}
	require.False(t, ask(kept).Close)
	done := r.end()
	require.True(t, ask(kept).Close, "it is told that this was the last one")
	_, err := kept.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.True(t, ask(r.dial()).Close, "newcomers are served")
	require.True(t, ask(unused).Close)
	<-done // at once: nobody is left who might ask
	require.True(t, r.closed())
}

func TestEnding_WhoSaysNothingIsNotWaitedForForEver(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.LastCall = 50 * time.Millisecond })
	r.site("app", hello("hi"))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n\n")
	_, body := r.read(c.response())
	require.Equal(t, "hi", body)
	began := time.Now()
	<-r.end()
	require.Less(t, time.Since(began), 5*time.Second)
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// While a stream gets its time, others are served.
func TestEnding_AStreamDoesNotLockOutOthers(t *testing.T) {
	for _, kind := range []string{"events", "socket"} {
		t.Run(kind, func(t *testing.T) {
			r := start(t, func(c *Config) { c.Limits.Shutdown, c.Limits.LastCall = 20*time.Second, 10*time.Millisecond })
			finish := make(chan bool)
			r.site("app", func(w http.ResponseWriter, q *http.Request) {
				switch {
				case q.URL.Path == "/plain":
					_, _ = io.WriteString(w, "hi")
				case kind == "socket":
					echoSocket(w, q)
				default:
					w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					_, _ = io.WriteString(w, "data: begun\n\n")
					flush(w)
					<-finish
					_, _ = io.WriteString(w, "data: finished\n\n")
				}
			})
			var leave func()
			if kind == "socket" {
				s, err := openSocket(r.dial(), "app.test")
				require.NoError(t, err)
				leave = func() {
					require.NoError(t, s.echo("still there"))
					require.NoError(t, s.Close())
				}
			} else {
				res := r.do(r.request("GET", "app.test", "/", nil))
				leave = func() {
					close(finish)
					_, body := r.read(res)
					require.Contains(t, body, "finished")
				}
			}
			done := r.end()
			require.Never(t, r.closed, 200*time.Millisecond, 10*time.Millisecond)
			_, body := r.get("app.test", "/plain")
			require.Equal(t, "hi", body)
			leave()
			<-done
			require.True(t, r.closed())
		})
	}
}

// A request that arrives just when nobody is accepted any more is served.
func TestEnding_ARequestOnItsWayIsServed(t *testing.T) {
	r := start(t)
	begun, finish := make(chan bool), make(chan bool)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			close(begun)
			<-finish
		}
		_, _ = io.WriteString(w, "hi")
	})
	slow, late := r.dial(), r.dial()
	slow.send("GET /slow HTTP/1.1\nHost: app.test\n\n")
	<-begun
	late.send("GET / HTTP/1.1\nHost: app.te") // half of it
	done := r.end()
	require.Eventually(t, r.closed, 5*time.Second, time.Millisecond)
	late.send("st\n\n")
	_, body := r.read(late.response())
	require.Equal(t, "hi", body)
	close(finish)
	_, body = r.read(slow.response())
	require.Equal(t, "hi", body)
	<-done
}

// One proxy follows the other on a listener that somebody else keeps open. Nobody
// loses a request.
func TestEnding_ASuccessorLosesNoRequest(t *testing.T) {
	keeper, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, keeper.Close()) })
	file, err := keeper.(*net.TCPListener).File()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	var app string
	successor := func() *rig {
		l, err := net.FileListener(file)
		require.NoError(t, err)
		r := start(t, func(c *Config) { c.Listener, c.Limits.LastCall = l, 2*time.Second })
		id := octo.NewInstanceID("app", octo.Web, 1, 1)
		if app == "" {
			app = r.run(id, func(w http.ResponseWriter, q *http.Request) { _, _ = io.Copy(w, q.Body) }).Listener.Addr().String()
		}
		r.place(id, app)
		r.route("app", id)
		return r
	}
	r := successor()
	ctx, cancel := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	var served, lost atomic.Int64
	for i := range 8 {
		client := r.client()
		client.Transport.(*http.Transport).DisableKeepAlives = i%2 == 0
		visitors.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := post(client, keeper.Addr().String(), fmt.Sprint(n)); err != nil {
					lost.Add(1)
					t.Log(err)
				}
				served.Add(1)
			}
		})
	}
	for range 10 {
		before := served.Load()
		require.Eventually(t, func() bool { return served.Load() > before+100 }, 20*time.Second, time.Millisecond)
		r.stop()
		r = successor()
	}
	cancel()
	visitors.Wait()
	require.Zero(t, lost.Load(), "of %d", served.Load())
}

// post sends a body, which no client sends twice by itself, and wants it back.
func post(client *http.Client, address, text string) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+address+"/", strings.NewReader(text))
	if err != nil {
		return err
	}
	req.Host = "app.test"
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || string(body) != text) {
		err = fmt.Errorf("%s: %.100q", res.Status, body)
	}
	return err
}
