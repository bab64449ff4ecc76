package sshd

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]request{
		"git-receive-pack 'hello'":      {git: receivePack, app: "hello"},
		"git-receive-pack '/hello.git'": {git: receivePack, app: "hello"},
		"git receive-pack \"hello\"":    {git: receivePack, app: "hello"},
		"git-upload-pack hello.git":     {git: uploadPack, app: "hello"},
		"  git   upload-pack   /hello":  {git: uploadPack, app: "hello"},
		"":                              {},
		"   ":                           {},
		"apps":                          {args: []string{"apps"}},
		"git":                           {args: []string{"git"}},
		"logs -a hello -n 5\n":          {args: []string{"logs", "-a", "hello", "-n", "5"}},
		"x 'a;b' \"c|d\" e\\;f \\; g&h http://<x": {args: []string{"x", "a;b", "c|d", "e;f", ";", "g&h", "http://<x"}},
	} {
		got, err := parse(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
	for line, want := range map[string]string{
		"apps;":    "so ; has no meaning",
		";apps":    "so ; has no meaning",
		"a | b":    "so | has no meaning",
		"a 'b' &":  "so & has no meaning",
		"a > f":    "so > has no meaning",
		"a <f":     "so < has no meaning",
		"a `b`":    "so ` has no meaning",
		"a\nb":     "so a new line has no meaning",
		"a 'b":     "a quote is not closed",
		"a \\":     "a quote is not closed",
		"git-x 'a": "a quote is not closed",
	} {
		_, err := parse(line)
		require.ErrorIs(t, err, octo.ErrInvalid, line)
		require.ErrorContains(t, err, want, line)
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"git-receive-pack 'hello'", "git upload-pack /a.git", "apps; id", "x 'a b' \"c\\\"d\"", "git-receive-pack '../x'", "\x00", "git-receive-pack 'it'\\''s'", "git-upload-pack ''\\!''"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		req, err := parse(line)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		if req.git == "" {
			require.Empty(t, req.app)
			return
		}
		require.Contains(t, []string{receivePack, uploadPack}, req.git)
		_, err = octo.ParseName(string(req.app))
		require.NoError(t, err)
	})
}

func TestKeyboard(t *testing.T) {
	var echo bytes.Buffer
	interrupts := 0
	k := newKeyboard(crlf{w: &echo}, func() { interrupts++ })
	k.read(strings.NewReader("yez\x7fs\x03\r" + strings.Repeat("x", 2*maxTyped) + "\n\x04"))
	got, err := io.ReadAll(k)
	require.NoError(t, err)
	require.Equal(t, 1, interrupts)
	require.True(t, strings.HasPrefix(string(got), "yes\n"))
	require.LessOrEqual(t, len(got), maxTyped+2, "no more than that waits")
	require.True(t, strings.HasPrefix(echo.String(), "yez\b \bs\r\n"))
}

func FuzzKeyboard(f *testing.F) {
	f.Add([]byte("yes\r\x7f\x7f\x04more"))
	f.Fuzz(func(t *testing.T, keys []byte) {
		k := newKeyboard(io.Discard, func() {})
		k.read(bytes.NewReader(keys))
		got, err := io.ReadAll(k)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got), len(keys))
	})
}

func TestGate_CountsNeighborhoods(t *testing.T) {
	g := gate{most: 4, each: 2}
	at := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		require.NoError(t, err)
		return a
	}
	leave, ok := g.enter(at("192.0.2.1:1"))
	require.True(t, ok)
	_, ok = g.enter(at("[::ffff:192.0.2.1]:2"))
	require.True(t, ok)
	_, ok = g.enter(at("192.0.2.1:3"))
	require.False(t, ok)
	_, ok = g.enter(at("[2001:db8::1]:1"))
	require.True(t, ok)
	_, ok = g.enter(at("[2001:db8::2]:1"))
	require.True(t, ok)
	_, ok = g.enter(at("198.51.100.1:1"))
	require.False(t, ok, "too many in all")
	leave()
	_, ok = g.enter(at("[2001:db8::3]:1"))
	require.False(t, ok, "too many of one network")
	_, ok = g.enter(&net.UnixAddr{Name: "x"})
	require.True(t, ok)
}

func TestTally(t *testing.T) {
	y := newTally(1)
	require.True(t, y.enter())
	require.False(t, y.enter())
	require.Zero(t, y.idle())
	over := y.end()
	select {
	case <-over:
		require.Fail(t, "one is inside")
	default:
	}
	y.leave()
	<-over
	require.False(t, y.enter())
	require.Less(t, y.idle(), time.Minute)
}
