package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

func TestStream_EventsArriveAtOnce(t *testing.T) {
	r := start(t)
	next := make(chan string)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush(w)
		for s := range next {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", s)
			flush(w)
		}
	})
	res := r.do(r.request("GET", "app.test", "/", nil)) // the header alone comes
	body := bufio.NewReader(res.Body)
	for i := range 5 {
		next <- fmt.Sprint(i)
		line, err := body.ReadString('\n') // nothing else is needed for it to come
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("data: %d\n", i), line)
		_, err = body.ReadString('\n')
		require.NoError(t, err)
	}
	require.Equal(t, 1, r.InFlight("app.web.v1.1"))
	close(next)
	rest, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Empty(t, rest)
}

func TestStream_PiecesOfKnownLengthArriveToo(t *testing.T) {
	r := start(t)
	next := make(chan bool)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "6")
		flush(w)
		<-next
		_, _ = io.WriteString(w, "one")
		flush(w)
		<-next
		_, _ = io.WriteString(w, "two")
	})
	res := r.do(r.request("GET", "app.test", "/", nil))
	require.EqualValues(t, 6, res.ContentLength)
	next <- true
	three := make([]byte, 3)
	_, err := io.ReadFull(res.Body, three)
	require.NoError(t, err)
	next <- true
	_, err = io.ReadFull(res.Body, three)
	require.NoError(t, err)
	require.Equal(t, "two", string(three))
}

func TestStream_UploadsAreNotGathered(t *testing.T) {
	r := start(t)
	got := make(chan string)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) {
		b := make([]byte, 3)
		for {
			if _, err := io.ReadFull(q.Body, b); err != nil {
				return
			}
			got <- string(b)
		}
	})
	pr, pw := io.Pipe()
	done := make(chan int)
	go func() { done <- r.do(r.request("POST", "app.test", "/", pr)).StatusCode }() // ends with the pipe
	for _, s := range []string{"one", "two", "six"} {
		_, err := io.WriteString(pw, s)
		require.NoError(t, err)
		require.Equal(t, s, <-got)
	}
	require.NoError(t, pw.Close())
	require.Equal(t, 200, <-done)
	require.EqualValues(t, 9, r.log.await(t, 1).BytesIn)
}

func TestStream_AnAnswerMayBeginBeforeTheBodyEnds(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		flush(w)
		b := make([]byte, 4)
		for {
			n, err := q.Body.Read(b)
			_, _ = w.Write(bytes.ToUpper(b[:n]))
			flush(w)
			if err != nil {
				return
			}
		}
	})
	pr, pw := io.Pipe()
	res := r.do(r.request("POST", "app.test", "/", pr))
	for range 10 {
		_, err := io.WriteString(pw, "ping")
		require.NoError(t, err)
		b := make([]byte, 4)
		_, err = io.ReadFull(res.Body, b)
		require.NoError(t, err)
		require.Equal(t, "PING", string(b))
	}
	require.NoError(t, pw.Close())
	_, rest := r.read(res)
	require.Empty(t, rest)
}

func TestStream_LargeBodiesBothWays(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, q.Body)
	})
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	for _, known := range []bool{true, false} {
		var rd io.Reader = bytes.NewReader(body)
		if !known {
			rd = io.MultiReader(rd)
		}
		_, got := r.read(r.do(r.request("PUT", "app.test", "/", rd)))
		require.True(t, got == string(body))
	}
	rec := r.log.await(t, 2)
	require.EqualValues(t, len(body), rec.BytesIn)
	require.EqualValues(t, len(body), rec.BytesOut)
}

func TestStream_Trailers(t *testing.T) {
	r := start(t)
	seen := make(chan http.Header, 1)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, q.Body)
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		seen <- q.Trailer
	})
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: app.test\nTransfer-Encoding: chunked\nTrailer: X-Check, X-Real-Ip\n\n" +
		"3\nabc\n0\nX-Check: 7\nX-Real-Ip: 6.6.6.6\nX-Sneaked: 1\n\n")
	res := c.response()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "abc", string(body))
	require.Equal(t, http.Header{"X-Sum": {"42"}, "X-Late": {"1"}}, res.Trailer)
	got := <-seen
	require.Equal(t, "7", got.Get("X-Check"))
	require.Empty(t, got.Get("X-Real-Ip"))
	require.NotContains(t, got, "X-Sneaked")
}

func TestStream_InterimAnswers(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		_, _ = io.WriteString(w, "done")
	})
	var interim []int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		interim = append(interim, code)
		require.Equal(t, "</style.css>; rel=preload", h.Get("Link"))
		return nil
	}}
	q := r.request("GET", "app.test", "/", nil)
	res, body := r.read(r.do(q.WithContext(httptrace.WithClientTrace(q.Context(), trace))))
	require.Equal(t, []int{103, 102}, interim)
	require.Equal(t, "done", body)
	require.NotEmpty(t, res.Header.Get(headerID))

	c := r.dial()
	c.send("GET / HTTP/1.0\nHost: app.test\n\n")
	require.Equal(t, "HTTP/1.0 200 OK", c.line(), "HTTP/1.0 knows none")
}

func TestStream_ExpectContinueIsTheAppsToAnswer(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/no" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.Copy(w, q.Body)
	})
	c := r.dial()
	c.send("POST /yes HTTP/1.1\nHost: app.test\nContent-Length: 4\nExpect: 100-continue\n\n")
	require.Equal(t, "HTTP/1.1 100 Continue", c.line())
	require.Empty(t, c.line())
	c.send("body")
	res := c.response()
	require.Equal(t, 200, res.StatusCode)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "body", string(body))

	c.send("POST /no HTTP/1.1\nHost: app.test\nContent-Length: 4\nExpect: 100-continue\n\n")
	require.Equal(t, "HTTP/1.1 413 Request Entity Too Large", c.line(), "without being asked for the body")
}

func TestStream_AClientThatLeavesCancelsItsRequest(t *testing.T) {
	r := start(t)
	begun, gone := make(chan bool), make(chan bool)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/late" {
			flush(w)
		}
		begun <- true
		<-q.Context().Done()
		gone <- true
	})
	for i, path := range []string{"/early", "/late"} {
		c := r.dial()
		c.send("GET " + path + " HTTP/1.1\nHost: app.test\n\n")
		<-begun
		require.NoError(t, c.Close())
		<-gone
		rec := r.log.await(t, i+1)
		require.Equal(t, 499, rec.Status)
		require.NotEmpty(t, rec.Error)
		require.Zero(t, r.InFlight("app.web.v1.1"))
	}
}

func TestStream_AnAppThatDiesInMidAnswerIsNoCleanEnd(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/known" {
			w.Header().Set("Content-Length", "100")
		}
		_, _ = io.WriteString(w, "some")
		flush(w)
		panic(http.ErrAbortHandler)
	})
	for i, path := range []string{"/known", "/chunked"} {
		res := r.do(r.request("GET", "app.test", path, nil))
		body, err := io.ReadAll(res.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, "some", string(body))
		rec := r.log.await(t, i+1)
		require.Equal(t, 200, rec.Status)
		require.Contains(t, rec.Error, "broke off")
	}
}

func TestStream_AnEarlyAnswerReachesAClientThatStillSends(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too much")
	})
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: app.test\nContent-Length: 100000000\n\n" + strings.Repeat("x", 100_000))
	res := c.response()
	require.Equal(t, 413, res.StatusCode)
	require.True(t, res.Close)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "too much", string(body))
}

func TestStream_TwoRequestsOnOneConnectionStayApart(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s", q.Method, q.URL.Path, b)
	})
	c := r.dial()
	c.send("POST /1 HTTP/1.1\nHost: app.test\nContent-Length: 3\n\nabcGET /2 HTTP/1.1\nHost: app.test\n\n")
	for _, want := range []string{"POST /1 abc", "GET /2 "} {
		res := c.response()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, want, string(body))
	}
}

func TestStream_ManyAtOnce(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) { _, _ = io.Copy(w, q.Body) })
	errs := make(chan error)
	for i := range 20 {
		go func() { errs <- r.echo(t.Context(), fmt.Sprint(i)) }() // ends with its answer
	}
	for range 20 {
		require.NoError(t, <-errs)
	}
	require.Zero(t, r.Totals().Active)
}

// echo has an echoing app answer a few times on one connection.
func (r *rig) echo(ctx context.Context, text string) error {
	client := r.client()
	for range 10 {
		q, err := http.NewRequestWithContext(ctx, "POST", "http://"+r.Addr().String()+"/", strings.NewReader(text))
		if err != nil {
			return err
		}
		q.Host = "app.test"
		res, err := client.Do(q)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if string(body) != text {
			return fmt.Errorf("%q came back as %q", text, body)
		}
	}
	return nil
}
