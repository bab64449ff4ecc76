package proxy

import (
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// appLog takes what the router says.
type appLog struct {
	mu  sync.Mutex
	all []octo.LogLine
}

func (a *appLog) add(lines []octo.LogLine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, lines...)
}

func (a *appLog) await(t *testing.T, n int) []octo.LogLine {
	t.Helper()
	var all []octo.LogLine
	require.Eventually(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		all = a.all
		return len(all) >= n
	}, 10*time.Second, time.Millisecond)
	return all
}

// plain replaces what differs from run to run.
func plain(text string) string {
	for pattern, by := range map[string]string{
		`request_id=[0-9a-f-]{36}`:  "request_id=ID",
		`(connect|service)=\d+ms`:   "$1=Nms",
		`127\.0\.0\.1:\d+`:          "ADDRESS",
		`desc="[^"]*(refused|EOF)"`: `desc="… $1"`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, by)
	}
	return text
}

func TestRouter_SaysALineForEachRequest(t *testing.T) {
	log := new(appLog)
	r := start(t, func(c *Config) { c.Lines, c.AccessLog, c.Limits.Hold = log.add, nil, time.Millisecond })
	r.site("app", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte("hello"))
	})
	r.route("empty")
	r.SetShard("down", []octo.Route{routeTo("down", "down.web.v1.2")})
	r.place("down.web.v1.2", "127.0.0.1:1")
	for i, c := range []struct{ host, path, want string }{
		{"APP.test:80", `/a%20"b?token=secret`, `at=info method=GET path="/a%20%22b" host=app.test request_id=ID fwd="127.0.0.1" dyno=web.1 connect=Nms service=Nms status=200 bytes=5`},
		{"app.test", "/abort", `at=error code=crashed desc="… EOF" method=GET path="/abort" host=app.test request_id=ID fwd="127.0.0.1" dyno=web.1 connect=Nms service=Nms status=502 bytes=BYTES`},
		{"empty.test", "/", `at=error code=no-instance desc="Not available" method=GET path="/" host=empty.test request_id=ID fwd="127.0.0.1" dyno= service=Nms status=503 bytes=BYTES`},
		{"down.test", "/", `at=error code=no-instance desc="… refused" method=GET path="/" host=down.test request_id=ID fwd="127.0.0.1" dyno=web.2 service=Nms status=503 bytes=BYTES`},
	} {
		before := time.Now()
		r.get("nobody.test", "/") // of no app: no line
		r.get(c.host, c.path)
		line := log.await(t, i+1)[i]
		require.NotContains(t, line.Text, "secret")
		got := plain(line.Text)
		if line.Text[3] == 'e' {
			got = regexp.MustCompile(`bytes=\d+`).ReplaceAllString(got, "bytes=BYTES")
		}
		require.Equal(t, c.want, got)
		require.Equal(t, octo.LogRouter, line.Source)
		require.Equal(t, 1, line.Release)
		require.False(t, line.Time.Before(before))
	}
	first := log.await(t, 4)[0]
	require.Equal(t, octo.Name("app"), first.App)
	require.Equal(t, octo.InstanceID("app.web.v1.1"), first.Instance)
	require.Equal(t, octo.Web, first.Process)
}

func TestRouter_AClientThatLeavesIsAWarning(t *testing.T) {
	log := new(appLog)
	r := start(t, func(c *Config) { c.Lines = log.add })
	entered, leave := make(chan bool), make(chan bool)
	r.site("app", func(http.ResponseWriter, *http.Request) { entered <- true; <-leave })
	c := r.client()
	go func() { <-entered; c.CloseIdleConnections(); c.Transport.(*http.Transport).CloseIdleConnections() }() // ends with the request
	c.Timeout = 100 * time.Millisecond
	_, err := c.Do(r.request("GET", "app.test", "/", nil))
	require.Error(t, err)
	require.Contains(t, log.await(t, 1)[0].Text, `at=warning code=client-gone desc="the client went away" method=GET`)
	close(leave)
}

// What is dropped is counted for each app.
func TestRouter_TellsWhatWasDropped(t *testing.T) {
	log := new(appLog)
	a := newAccessLog(&Config{Lines: log.add}, start(t).Proxy.log, 1)
	for range 3 {
		a.add(&record{App: "one"}, 0)
	}
	a.add(&record{App: "two"}, 0)
	a.flush()
	texts := map[octo.Name][]string{}
	for _, l := range log.all {
		texts[l.App] = append(texts[l.App], l.Text)
	}
	require.Len(t, texts["one"], 2)
	require.Contains(t, texts["one"][0], "octohost dropped 2 lines of router")
	require.Len(t, texts["two"], 1)
	require.Contains(t, texts["two"][0], "octohost dropped 1 lines of router")
	a.flush()
	require.Len(t, log.all, 3)
}
