package node

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// serveHTTP answers on an address of its own, as a container does.
func serveHTTP(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.20.30.40:0")
	require.NoError(t, err)
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

// serveRaw lets f do what it likes with each connection.
func serveRaw(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.20.30.41:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// asked reads a request to its end.
func asked(c net.Conn) {
	_, _ = http.ReadRequest(bufio.NewReader(c))
}

func askAt(t *testing.T, address string) answer {
	t.Helper()
	return ask(t.Context(), target{kind: octo.CheckHTTP, address: address, host: "hello", path: "/up?a=b"}, time.Second, time.Second)
}

func TestAsk_AsksWhatItShould(t *testing.T) {
	var got *http.Request
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { got = r.Clone(context.Background()) })
	a := askAt(t, address)
	require.Equal(t, answer{seen: seenAnswer, status: 200}, a)
	require.Equal(t, "GET", got.Method)
	require.Equal(t, "hello", got.Host)
	require.Equal(t, "/up?a=b", got.RequestURI)
	require.Equal(t, "octohost-health", got.UserAgent())
	require.True(t, got.Close)
}

func TestAsk_Answers(t *testing.T) {
	for _, tc := range []struct {
		status int
		good   bool
	}{{200, true}, {204, true}, {301, true}, {401, true}, {404, true}, {500, false}, {503, false}} {
		t.Run(fmt.Sprint(tc.status), func(t *testing.T) {
			hits := 0
			a := askAt(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
				hits++
				http.Redirect(w, r, "https://hello.example/", tc.status)
			}))
			require.Equal(t, tc.status, a.status)
			require.Equal(t, tc.good, a.good())
			require.Equal(t, 1, hits, "redirects are not followed")
			require.Equal(t, "https://hello.example/", a.location)
		})
	}
}

func TestAsk_WhatIsNoAnswer(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	for name, tc := range map[string]struct {
		does func(net.Conn)
		seen seen
		says string
	}{
		"closes at once":    {func(c net.Conn) {}, seenClosed, "connected, GET /up: the connection was closed without an answer"},
		"closes when asked": {asked, seenClosed, "connected, GET /up: the connection was closed without an answer"},
		"says nothing":      {func(c net.Conn) { asked(c); _, _ = c.Read(make([]byte, 1)) }, seenSlow, "connected, GET /up got no answer in time"},
		"speaks TLS":        {func(c net.Conn) { asked(c); _, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x16")) }, seenGarbage, "connected, GET /up: the answer is not HTTP"},
		"speaks SMTP":       {func(c net.Conn) { asked(c); _, _ = c.Write([]byte("220 mail ESMTP\r\n")) }, seenGarbage, "connected, GET /up: the answer is not HTTP"},
		"never ends a head": {func(c net.Conn) {
			asked(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20))
		}, seenClosed, "connected, GET /up: the connection was closed without an answer"},
		"only says continue": {func(c net.Conn) {
			asked(c)
			_, _ = io.WriteString(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20))
		}, seenGarbage, "connected, GET /up: the answer is not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t.Context(), target{kind: octo.CheckHTTP, address: serveRaw(t, tc.does), host: "hello", path: "/up"}, time.Second, 300*time.Millisecond)
			require.Equal(t, tc.seen, a.seen, "%+v", a)
			require.False(t, a.good())
			require.True(t, a.seen.connected())
			require.Equal(t, tc.says, a.describe(target{path: "/up"}))
		})
	}
}

func TestAsk_InterimAnswersAreNotTheAnswer(t *testing.T) {
	a := askAt(t, serveRaw(t, func(c net.Conn) {
		asked(c)
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
	}))
	require.Equal(t, answer{seen: seenAnswer, status: 503}, a)
}

func TestAsk_NothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.20.30.42:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.True(t, knock(t.Context(), address, time.Second))
	require.NoError(t, l.Close())
	a := askAt(t, address)
	require.Equal(t, answer{seen: seenRefused}, a)
	require.Equal(t, "connection refused", a.describe(target{path: "/"}))
	require.False(t, a.seen.connected())
	require.False(t, knock(t.Context(), address, time.Second))
}

func TestAsk_EndsWithItsContext(t *testing.T) {
	address := serveRaw(t, func(c net.Conn) { asked(c); _, _ = c.Read(make([]byte, 1)) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.False(t, ask(ctx, target{kind: octo.CheckHTTP, address: address, host: "hello", path: "/"}, time.Minute, time.Minute).good())
	require.Less(t, time.Since(began), 10*time.Second)
}

func TestAsk_PathThatCannotBeAsked(t *testing.T) {
	address := serveHTTP(t, func(http.ResponseWriter, *http.Request) {})
	a := ask(t.Context(), target{kind: octo.CheckHTTP, address: address, host: "hello", path: "/\r\nX: y"}, time.Second, time.Second)
	require.Equal(t, seenGarbage, a.seen)
	require.Equal(t, "the health path cannot be asked for", a.describe(target{path: "/"}))
}

func TestAnswer_DescribesEverything(t *testing.T) {
	require.Equal(t, "no answer to the attempt to connect", answer{}.describe(target{path: "/"}))
	require.Equal(t, "no way to the container's address", answer{seen: seenUnreachable}.describe(target{path: "/"}))
	require.Equal(t, "GET /x answered 502", answer{seen: seenAnswer, status: 502}.describe(target{path: "/x"}))
	require.Empty(t, answer{seen: seenAnswer, status: 302, location: "/login"}.note("/"))
}

// FuzzGet lets anything answer a health check.
func FuzzGet(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("\x15\x03\x01\x00\x02\x02\x16"))
	f.Fuzz(func(t *testing.T, says []byte) {
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			asked(there)
			_, _ = there.Write(says) // the other end may have seen enough
			_ = there.Close()
		}()
		a := get(t.Context(), here, target{host: "hello", path: "/up"})
		_ = here.Close()
		<-done
		require.True(t, a.seen.connected())
		require.NotEmpty(t, a.describe(target{path: "/up"}))
		if a.good() {
			require.True(t, bytes.HasPrefix(says, []byte("HTTP/")))
		}
	})
}
