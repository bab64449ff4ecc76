package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reporting answers with what it understood of each request.
func reporting(seen chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		seen <- fmt.Sprintf("%s %s %q cl=%q te=%v %v", q.Method, q.RequestURI, body, q.Header.Get("Content-Length"), q.TransferEncoding, err)
	}
}

func TestSmuggling_WhatIsAmbiguousIsRefused(t *testing.T) {
	const smuggled = "GET /evil HTTP/1.1\nHost: app.test\n\n"
	for name, header := range map[string]string{
		"two lengths":          "Content-Length: 0\nContent-Length: 38\n",
		"list of lengths":      "Content-Length: 0, 38\n",
		"signed length":        "Content-Length: +0\n",
		"hex length":           "Content-Length: 0x0\n",
		"two encodings":        "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n",
		"unknown encoding":     "Transfer-Encoding: xchunked\n",
		"chunked twice":        "Transfer-Encoding: chunked, chunked\n",
		"not last":             "Transfer-Encoding: chunked, gzip\n",
		"vertical tab":         "Transfer-Encoding: \vchunked\n",
		"space before colon":   "Transfer-Encoding : chunked\nContent-Length: 0\n",
		"space before name":    " Transfer-Encoding: chunked\n",
		"no name":              ": chunked\n",
		"no colon":             "Transfer-Encoding chunked\n",
		"NUL in a value":       "X: a\x00b\n",
		"CR in a value":        "X: a\rTransfer-Encoding: chunked\n",
		"two hosts":            "Host: other.test\n",
		"bad name":             "X Y: z\n",
		"chunked by backspace": "Transfer-Encoding: chunked\b\n",
	} {
		r := start(t)
		seen := make(chan string, 10)
		r.site("app", reporting(seen))
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: app.test\n" + header + "\n" + smuggled)
		res := c.response()
		require.Contains(t, []int{400, 501}, res.StatusCode, name)
		require.True(t, res.Close, name)
		_, _ = io.ReadAll(c.r)
		require.Empty(t, seen, name)
	}
}

// A length beside chunks may be refused or taken out (RFC 9112 §6.3); net/http takes
// it out, and the connection ends with the answer, whatever else it carries.
func TestSmuggling_ALengthBesideChunksIsTakenOut(t *testing.T) {
	r := start(t)
	seen := make(chan string, 10)
	r.site("app", reporting(seen))
	for _, header := range []string{
		"Content-Length: 6\nTransfer-Encoding: chunked\n",
		"Transfer-Encoding: chunked\nContent-Length: 400\n",
		"Transfer-Encoding:\n chunked\nContent-Length: 6\n", // obs-fold, RFC 9112 §5.2
		"Transfer-Encoding: CHUNKED\nContent-Length: 3\nContent-Length: 3\n",
	} {
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: app.test\n" + header + "\n3\nabc\n0\n\nGET /evil HTTP/1.1\nHost: app.test\n\n")
		res := c.response()
		require.Equal(t, 200, res.StatusCode)
		require.True(t, res.Close)
		rest, err := io.ReadAll(c.r)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, `POST / "abc" cl="" te=[chunked] <nil>`, <-seen)
		require.Empty(t, seen)
	}
}

func TestSmuggling_FoldedHeadersAreUnfolded(t *testing.T) {
	r := start(t)
	seen := make(chan http.Header, 1)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) { seen <- q.Header })
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\nX-Long: a\n Content-Length: 5\n\tb\n\n")
	require.Equal(t, 200, c.response().StatusCode)
	h := <-seen
	require.Equal(t, "a Content-Length: 5 b", h.Get("X-Long"))
	require.NotContains(t, h, "Content-Length")
}

func TestSmuggling_BadChunksEndTheConnection(t *testing.T) {
	for _, chunks := range []string{
		"3\nabcd\n0\n\n", "-1\nabc\n0\n\n", "0x3\nabc\n0\n\n", "ffffffffffffffffff\nabc\n", "3;" + strings.Repeat("x", 10_000) + "\nabc\n0\n\n",
	} {
		r := start(t)
		r.site("app", echoBody)
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: app.test\nTransfer-Encoding: chunked\n\n" + chunks + "GET /evil HTTP/1.1\nHost: app.test\n\n")
		res := c.response()
		require.Equal(t, 400, res.StatusCode, chunks[:3])
		require.True(t, res.Close)
		_, _ = io.ReadAll(res.Body)
		rest, _ := io.ReadAll(c.r)
		require.Empty(t, rest)
	}
}

// A body that the app did not want is never taken for the next request, even when the
// answer was on its way before the body's end was seen.
func TestSmuggling_AnUnreadBodyIsNoRequest(t *testing.T) {
	r := start(t)
	paths := make(chan string, 10)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		paths <- q.URL.Path
		w.Header().Set("Connection", "close")
		w.WriteHeader(403)
	})
	const evil = "GET /evil HTTP/1.1\nHost: app.test\n\n"
	for _, header := range []string{"Content-Length: 300000\n\n", "Transfer-Encoding: chunked\n\nfffff\n"} {
		c := r.dial()
		c.send("POST /first HTTP/1.1\nHost: app.test\n" + header)
		res := c.response()
		require.Equal(t, 403, res.StatusCode)
		require.True(t, res.Close)
		c.send(strings.Repeat(evil, 3))
		_, _ = io.ReadAll(c.r)
		require.Equal(t, "/first", <-paths)
		require.Empty(t, paths)
	}
}

func TestSmuggling_AnswersOfAppsAreReframed(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString(strings.ReplaceAll(q.Header.Get("X-Answer"), "|", "\r\n"))
		_ = rw.Flush()
	})
	for answer, want := range map[string]int{
		"HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 3||abc":                   502,
		"HTTP/1.1 200 OK|Content-Length: -1||abc":                                    502,
		"HTTP/1.1 200 OK|Transfer-Encoding: nonsense||abc":                           502,
		"HTTP/1.1 200 OK|Content-Length: 9|Transfer-Encoding: chunked||2|ok|0||":     200,
		"HTTP/1.1 200 OK|Connection: close||ok":                                      200,
		"HTTP/1.1 204 No Content||HTTP/1.1 200 OK|Content-Length: 5||smugg":          204,
		"HTTP/1.1 200 OK|Content-Length: 2||okHTTP/1.1 200 OK|Content-Length: 2||ev": 200,
	} {
		c := r.dial()
		c.send("GET / HTTP/1.1\nHost: app.test\nX-Answer: " + answer + "\n\nGET / HTTP/1.1\nHost: none.test\n\n")
		res := c.response()
		require.Equal(t, want, res.StatusCode, answer)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err, answer)
		if want == 200 {
			require.Equal(t, "ok", string(body), answer)
		}
		require.Equal(t, 404, c.response().StatusCode, answer)
	}
}
