package proxy

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The least of RFC 6455 that makes a real handshake and real frames: one text frame
// of less than 126 bytes at a time, masked on the way to the server.

const websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

func websocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + websocketGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echoSocket is an app that answers every text frame with the same.
func echoSocket(w http.ResponseWriter, q *http.Request) {
	if q.Header.Get("Upgrade") != "websocket" || q.Header.Get("Connection") != "Upgrade" {
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		websocketAccept(q.Header.Get("Sec-WebSocket-Key")))
	for rw.Flush() == nil {
		text, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		_, _ = rw.Write(append([]byte{0x81, byte(len(text))}, text...))
	}
}

func readFrame(r *bufio.Reader) (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	if head[0] != 0x81 {
		return "", fmt.Errorf("not a text frame: %x", head)
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return "", err
		}
	}
	text := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", err
	}
	for i := range text {
		text[i] ^= mask[i%4]
	}
	return string(text), nil
}

// socket is a WebSocket client.
type socket struct {
	net.Conn
	r *bufio.Reader
}

// openSocket opens a WebSocket on a connection.
func openSocket(conn net.Conn, host string) (*socket, error) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	_, err := fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", host, key)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != websocketAccept(key) || res.Header.Get(headerID) == "" {
		return nil, fmt.Errorf("no upgrade: %s %v", res.Status, res.Header)
	}
	return &socket{conn, r}, nil
}

// echo sends a text and expects it back.
func (s *socket) echo(text string) error {
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 1, 2, 3, 4}, text...)
	for i := range text {
		frame[6+i] ^= byte(1 + i%4)
	}
	if _, err := s.Write(frame); err != nil {
		return err
	}
	got, err := readFrame(s.r)
	if err == nil && got != text {
		err = errors.New("came back as " + got)
	}
	return err
}

func TestWebSocket(t *testing.T) {
	r := start(t)
	id := r.site("app", echoSocket)
	s, err := openSocket(r.dial(), "app.test")
	require.NoError(t, err)
	for _, text := range []string{"one", "two", "three"} {
		require.NoError(t, s.echo(text))
	}
	require.Equal(t, 1, r.InFlight(id))
	require.NoError(t, s.Close())
	rec := r.log.await(t, 1)
	require.Equal(t, 101, rec.Status)
	require.True(t, rec.Upgraded)
	require.EqualValues(t, 3*6+3+3+5, rec.BytesIn)
	require.EqualValues(t, 3*2+3+3+5, rec.BytesOut)
	require.Empty(t, rec.Error)
	require.Zero(t, r.InFlight(id))
}

func TestWebSocket_TheAppMayRefuse(t *testing.T) {
	r := start(t)
	r.site("app", hello("plain"))
	_, err := openSocket(r.dial(), "app.test")
	require.ErrorContains(t, err, "200 OK")
}

func TestWebSocket_AnAppThatDiesEndsIt(t *testing.T) {
	r := start(t)
	conns := make(chan net.Conn, 1)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		echoSocket(&hijackSpy{w, conns}, q)
	})
	s, err := openSocket(r.dial(), "app.test")
	require.NoError(t, err)
	require.NoError(t, s.echo("hello"))
	require.NoError(t, (<-conns).Close())
	_, err = s.r.ReadByte()
	require.Error(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, 101, r.log.await(t, 1).Status)
}

type hijackSpy struct {
	http.ResponseWriter
	conns chan net.Conn
}

func (h *hijackSpy) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conns <- c
	return c, rw, err
}

func TestWebSocket_WhatIsSentEarlyIsNotLost(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	})
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\nConnection: Upgrade\nUpgrade: echo\n\nearly bird\n")
	require.Equal(t, 101, c.response().StatusCode)
	require.Equal(t, "early bird", c.line())
	c.send("late bird\n")
	require.Equal(t, "late bird", c.line())
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	rest, err := io.ReadAll(c.r)
	require.NoError(t, err)
	require.Empty(t, rest)
}
