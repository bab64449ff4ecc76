package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimits_ASlowHeaderIsCut(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.HeaderTimeout = 50 * time.Millisecond })
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n")
	_, err := io.ReadAll(c)
	require.NoError(t, err) // closed, not timed out
}

func TestLimits_AnIdleConnectionIsClosed(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.IdleTimeout = 50 * time.Millisecond })
	r.site("app", hello("x"))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n\n")
	_, body := r.read(c.response())
	require.Equal(t, "x", body)
	_, err := c.r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestLimits_ALongHeaderIsRefused(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.HeaderBytes = 8 << 10 })
	r.site("app", hello("x"))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\nX-Long: " + strings.Repeat("x", 20<<10) + "\n\n")
	require.Equal(t, 431, c.response().StatusCode)
}

func TestLimits_SilenceInABodyIsCut(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.UploadWindow = 50 * time.Millisecond })
	r.site("app", echoBody)
	for _, header := range []string{"Content-Length: 10\n\nhalf", "Transfer-Encoding: chunked\n\n4\nhalf\n"} {
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: app.test\n" + header)
		res := c.response()
		require.Equal(t, 408, res.StatusCode)
		require.True(t, res.Close)
		require.Equal(t, "app", r.log.await(t, 1).App)
	}
}

func TestLimits_ATrickleIsCut(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.UploadWindow, c.Limits.UploadBytes = 100*time.Millisecond, 1000 })
	r.site("app", echoBody)
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: app.test\nContent-Length: 100000\n\n")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go drip(ctx, c) // ends with the connection or the test
	require.Equal(t, 408, c.response().StatusCode)
}

// drip sends a byte every 5 ms.
func drip(ctx context.Context, w io.Writer) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		if _, err := w.Write([]byte("x")); err != nil {
			return
		}
	}
}

func TestLimits_AnAppThatReadsSlowlyIsNotHeldAgainstTheClient(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.UploadWindow, c.Limits.UploadBytes = 500*time.Millisecond, 1 })
	proceed := make(chan bool)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		<-proceed
		n, err := io.Copy(io.Discard, q.Body)
		if err != nil || n != 32<<20 {
			w.WriteHeader(500)
		}
	})
	status := make(chan int)
	go func() { // ends with its answer
		body := strings.NewReader(strings.Repeat("x", 32<<20)) // more than all buffers on the way take
		status <- r.do(r.request("POST", "app.test", "/", body)).StatusCode
	}()
	<-time.After(time.Second) // two windows in which nothing moves
	close(proceed)
	require.Equal(t, 200, <-status)
}

func TestLimits_StreamsAndSocketsAreNotUploads(t *testing.T) {
	r := start(t, func(c *Config) {
		const short = 250 * time.Millisecond
		c.Limits.UploadWindow, c.Limits.WriteStall, c.Limits.IdleTimeout = short, short, short
		c.Limits.HeaderTimeout, c.Limits.AnswerTimeout = short, short
	})
	next := make(chan bool)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/socket" {
			echoSocket(w, q)
			return
		}
		_, _ = io.Copy(io.Discard, q.Body)
		flush(w)
		<-next
		_, _ = io.WriteString(w, "at last")
	})
	s, err := openSocket(r.dial(), "app.test")
	require.NoError(t, err)
	stream := r.do(r.request("POST", "app.test", "/", strings.NewReader("begin")))
	<-time.After(700 * time.Millisecond) // longer than every limit
	require.NoError(t, s.echo("still there"))
	next <- true
	_, body := r.read(stream)
	require.Equal(t, "at last", body)
}

func TestLimits_AClientThatDoesNotReadIsCut(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.WriteStall = 100 * time.Millisecond })
	gone := make(chan bool)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		b := make([]byte, 1<<20)
		for {
			if _, err := w.Write(b); err != nil {
				close(gone)
				return
			}
		}
	})
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n\n")
	<-gone
	rec := r.log.await(t, 1)
	require.Equal(t, 499, rec.Status)
	require.Contains(t, rec.Error, "did not read")
}

func TestLimits_AnAppThatNeitherReadsNorAnswersIsGivenUp(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.WriteStall = 100 * time.Millisecond })
	over := make(chan bool)
	r.site("app", func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: app.test\nContent-Length: 100000000\n\n")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { // ends with the connection or the test
		b := make([]byte, 1<<20)
		for ctx.Err() == nil {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	require.Equal(t, 504, c.response().StatusCode)
}

func TestLimits_AnUnreadBodyDoesNotKeepTheConnectionBusy(t *testing.T) {
	r := start(t)
	r.route("app") // nobody reads
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: none.test\nContent-Length: 1000\n\n")
	res := c.response()
	require.Equal(t, 404, res.StatusCode)
	require.True(t, res.Close)
	_, _ = io.ReadAll(res.Body)
	_, err := c.r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return r.Totals().Active == 0 }, time.Second, time.Millisecond)
}

func TestLimits_OnlySoManyConnections(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Connections = 1 })
	r.site("app", hello("x"))
	first, second := r.dial(), r.dial()
	first.send("GET / HTTP/1.1\nHost: app.test\n\n")
	_, body := r.read(first.response())
	require.Equal(t, "x", body)
	second.send("GET / HTTP/1.1\nHost: app.test\n\n")
	require.NoError(t, second.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := second.r.ReadByte()
	require.ErrorContains(t, err, "timeout", "it waits for its turn")
	require.NoError(t, first.Close())
	require.NoError(t, second.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, body = r.read(second.response())
	require.Equal(t, "x", body)
	r.dial() // nobody accepts it; Run must end all the same
}
