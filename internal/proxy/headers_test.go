package proxy

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// headersSeen sends a request with header lines to an app and returns what the app
// got and what came back.
func headersSeen(t *testing.T, header string, change ...func(*Config)) (*http.Request, *http.Response) {
	t.Helper()
	r := start(t, change...)
	seen := make(chan *http.Request, 1)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) { seen <- q })
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: app.test\n" + header + "\n")
	res := c.response()
	require.Equal(t, 200, res.StatusCode)
	return <-seen, res
}

const claims = `X-Forwarded-For: 6.6.6.6
X-Forwarded-Host: evil.test
X-Forwarded-Proto: https
X-Forwarded-Port: 443
X-Real-Ip: 6.6.6.6
X-Request-Id: mine
Forwarded: for=6.6.6.6
x_forwarded_for: 6.6.6.6
X_Request-Id: mine
Proxy: http://evil.test
X-Forward: fine
`

func TestHeaders_AStrangersClaimsAreReplaced(t *testing.T) {
	q, res := headersSeen(t, claims)
	require.Equal(t, []string{"127.0.0.1"}, q.Header["X-Forwarded-For"])
	require.Equal(t, []string{"app.test"}, q.Header["X-Forwarded-Host"])
	require.Equal(t, []string{"http"}, q.Header["X-Forwarded-Proto"])
	id, err := uuid.Parse(q.Header.Get("X-Request-Id"))
	require.NoError(t, err)
	require.EqualValues(t, 7, id.Version())
	require.Equal(t, []string{id.String()}, res.Header["X-Request-Id"])
	require.Len(t, q.Header, 5, "%v", q.Header)
	require.Equal(t, "fine", q.Header.Get("X-Forward"))
}

func TestHeaders_ATrustedPeersAreKeptAndAppendedTo(t *testing.T) {
	trusting := func(c *Config) { c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	q, res := headersSeen(t, claims, trusting)
	require.Equal(t, []string{"6.6.6.6, 127.0.0.1"}, q.Header["X-Forwarded-For"])
	require.Equal(t, []string{"evil.test"}, q.Header["X-Forwarded-Host"])
	require.Equal(t, []string{"https"}, q.Header["X-Forwarded-Proto"])
	require.Equal(t, []string{"443"}, q.Header["X-Forwarded-Port"])
	require.Equal(t, []string{"mine"}, q.Header["X-Request-Id"])
	require.Equal(t, []string{"mine"}, res.Header["X-Request-Id"])
	require.NotContains(t, q.Header, "Forwarded")
	require.NotContains(t, q.Header, "Proxy")
	require.NotContains(t, q.Header, "X_forwarded_for")

	q, _ = headersSeen(t, "X-Request-Id: a b\nX-Forwarded-Proto: gopher\n", trusting)
	require.NotEqual(t, "a b", q.Header.Get("X-Request-Id"))
	require.Equal(t, "http", q.Header.Get("X-Forwarded-Proto"))
	require.Equal(t, "app.test", q.Header.Get("X-Forwarded-Host"))
	require.Equal(t, "127.0.0.1", q.Header.Get("X-Forwarded-For"))
}

func TestHeaders_HopByHopOnesStopHere(t *testing.T) {
	q, _ := headersSeen(t, `Connection: keep-alive, X-Mine, X-Forwarded-For
Keep-Alive: timeout=5
Proxy-Connection: keep-alive
Proxy-Authorization: Basic eDp5
TE: trailers, deflate
Upgrade: something
X-Mine: 1
X-End: 1
`)
	require.Equal(t, "1", q.Header.Get("X-End"))
	require.Equal(t, "trailers", q.Header.Get("Te"))
	require.Equal(t, "127.0.0.1", q.Header.Get("X-Forwarded-For"), "a client cannot strip what the proxy says")
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Upgrade", "X-Mine"} {
		require.NotContains(t, q.Header, name)
	}
}

func TestHeaders_OfAnswersHopByHopOnesStopHereToo(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("Keep-Alive", "timeout=1")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("X-End", "1")
	})
	res, _ := r.get("app.test", "/")
	require.Equal(t, "1", res.Header.Get("X-End"))
	for _, name := range []string{"Connection", "Keep-Alive", "X-Hop", "Proxy-Authenticate"} {
		require.NotContains(t, res.Header, name)
	}
	require.False(t, res.Close)
}

func TestHeaders_H2CIsNotOffered(t *testing.T) {
	q, _ := headersSeen(t, "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n")
	require.NotContains(t, q.Header, "Upgrade")
	require.NotContains(t, q.Header, "Connection")
	require.NotContains(t, q.Header, "Http2-Settings")
}

func TestTrust_KnowsItsPeers(t *testing.T) {
	list := trust{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for remote, want := range map[string]bool{
		"10.1.2.3:4": true, "[::ffff:10.1.2.3]:4": true, "[fd00::1%eth0]:4": true,
		"11.1.2.3:4": false, "[fe80::1]:4": false, "@": false, "": false,
	} {
		_, got := list.peer(remote)
		require.Equal(t, want, got, remote)
	}
}

func TestRequestID(t *testing.T) {
	require.Equal(t, "A-z_0.9+/=:@", requestID("A-z_0.9+/=:@", true))
	for _, bad := range []string{"", "a b", "a\"b", "<", "é", string(make([]byte, maxID+1))} {
		id, err := uuid.Parse(requestID(bad, true))
		require.NoError(t, err)
		require.EqualValues(t, 7, id.Version())
	}
	require.NotEqual(t, "good", requestID("good", false))
	last := ""
	for range 100 {
		id := requestID("", false)
		require.Greater(t, id, last, "ids sort by time")
		last = id
	}
}
