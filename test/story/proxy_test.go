package story_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask makes one request through the proxy, on a connection of its own.
func (w *world) ask(method, host, path string, header http.Header, body io.Reader) (*http.Response, string) {
	w.t.Helper()
	resp := w.send(method, host, path, header, body)
	defer resp.Body.Close()          //nolint:errcheck // read to its end
	text, _ := io.ReadAll(resp.Body) // what breaks off is as good as what was read of it
	return resp, string(text)
}

// send is ask before anything of the answer's body is read.
func (w *world) send(method, host, path string, header http.Header, body io.Reader) *http.Response {
	w.t.Helper()
	req, err := http.NewRequest(method, "http://"+w.http+path, body)
	require.NoError(w.t, err)
	req.Host = host
	for name, values := range header {
		req.Header[name] = values
	}
	client := &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	require.NoError(w.t, err)
	return resp
}

// access returns the record of a request in the access log.
func (w *world) access(id string) map[string]any {
	w.t.Helper()
	var record map[string]any
	w.eventually(5*time.Second, "the request is in the access log", func() bool {
		text, err := os.ReadFile(w.path("access.log"))
		require.NoError(w.t, err)
		for line := range strings.Lines(string(text)) {
			if !strings.HasSuffix(line, "\n") {
				continue // it is being written
			}
			require.NoError(w.t, json.Unmarshal([]byte(line), &record), "%q", line)
			if record["id"] == id {
				return true
			}
		}
		return false
	})
	return record
}

// The proxy as visitors and apps meet it, with a real app behind it.
func TestProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo("hello").deploy("v1")
	for name, test := range map[string]func(*testing.T, *world){
		"unknown hosts": proxyUnknownHosts, "hosts": proxyHosts, "request id": proxyRequestID, "forwarded": proxyForwarded,
		"events": proxyEvents, "websocket": proxyWebSocket, "upload": proxyUpload, "access log": proxyAccessLog,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, w.with(t)) })
	}
}

func proxyUnknownHosts(t *testing.T, w *world) {
	for _, host := range []string{"nobody.localhost", "hello", "localhost", "hello2.localhost", "hell.localhost", "x.hello.localhost", "127.0.0.1", "hello.example.org"} {
		resp, body := w.ask(http.MethodGet, host, "/", nil, nil)
		require.Equal(t, http.StatusNotFound, resp.StatusCode, host)
		require.Equal(t, "404 No such site\nThere is no site here under this name.\nrequest id: "+resp.Header.Get("X-Request-Id")+"\n", body)
		require.Regexp(t, uuid7, resp.Header.Get("X-Request-Id"))
	}
	resp, body := w.ask(http.MethodGet, "nobody.localhost", "/", http.Header{"Accept": {"text/html,*/*"}}, nil)
	require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Contains(t, body, "<h1>No such site</h1>")
	require.Contains(t, body, resp.Header.Get("X-Request-Id"))
	resp, body = w.ask(http.MethodGet, "nobody.localhost", "/", http.Header{"Accept": {"application/json"}}, nil)
	var page struct {
		Error string `json:"error"`
		ID    string `json:"request_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	require.Equal(t, "unknown-host", page.Error)
	require.Equal(t, resp.Header.Get("X-Request-Id"), page.ID)
}

func proxyHosts(t *testing.T, w *world) {
	for _, host := range []string{"hello.localhost", "HELLO.LocalHost", "hello.localhost:8080", "hello.localhost."} {
		resp, body := w.ask(http.MethodGet, host, "/", nil, nil)
		require.Equal(t, http.StatusOK, resp.StatusCode, host)
		require.Equal(t, "v1\n", body)
	}
}

// The app and the client get the same id, and nobody can choose it from outside.
func proxyRequestID(t *testing.T, w *world) {
	seen := map[string]bool{}
	last := ""
	for range 5 {
		resp, body := w.ask(http.MethodGet, "hello.localhost", "/echo", http.Header{"X-Request-Id": {"mine"}}, nil)
		id := resp.Header.Get("X-Request-Id")
		require.Regexp(t, uuid7, id)
		require.Contains(t, body, "\nX-Request-Id: "+id+"\n")
		require.Equal(t, 1, strings.Count(body, "X-Request-Id"))
		require.False(t, seen[id])
		require.Greater(t, id, last, "ids sort by time")
		seen[id], last = true, id
	}
}

func proxyForwarded(t *testing.T, w *world) {
	spoofed := http.Header{
		"X-Forwarded-For": {"10.9.8.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"bank.example"}, "Forwarded": {"for=10.9.8.7"},
		"X-Real-Ip": {"10.9.8.7"}, "Proxy": {"http://10.9.8.7"}, "Connection": {"X-Secret"}, "X-Secret": {"hop"}, "X-Kept": {"as it is"},
	}
	_, body := w.ask(http.MethodPost, "hello.localhost:8080", "/echo?a=b;c&d=%2F", spoofed, strings.NewReader("the body"))
	require.True(t, strings.HasPrefix(body, "POST /echo?a=b;c&d=%2F HTTP/1.1\nHost: hello.localhost:8080\n"), body)
	require.Contains(t, body, "\nX-Forwarded-For: 127.0.0.1\n")
	require.Contains(t, body, "\nX-Forwarded-Proto: http\n")
	require.Contains(t, body, "\nX-Forwarded-Host: hello.localhost:8080\n")
	require.Contains(t, body, "\nX-Kept: as it is\n")
	require.True(t, strings.HasSuffix(body, "\n\nthe body"), body)
	for _, gone := range []string{"10.9.8.7", "bank.example", "X-Secret"} {
		require.NotContains(t, body, gone)
	}
}

// Server-sent events arrive when they are sent, not when the stream ends.
func proxyEvents(t *testing.T, w *world) {
	resp := w.send(http.MethodGet, "hello.localhost", "/sse?n=4&every=500ms", nil, nil)
	defer resp.Body.Close() //nolint:errcheck // read to its end
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	events := bufio.NewScanner(resp.Body)
	var at []time.Time
	for events.Scan() {
		if strings.HasPrefix(events.Text(), "data: ") {
			at = append(at, time.Now())
		}
	}
	require.Len(t, at, 4)
	require.Greater(t, at[3].Sub(at[0]), time.Second, "they came all at once")
}

func proxyWebSocket(t *testing.T, w *world) {
	require.NoError(t, (&visitors{address: w.http, host: "hello.localhost"}).websocket())
}

// An upload reaches the app as it is sent, however it is framed.
func proxyUpload(t *testing.T, w *world) {
	const size = 24 << 20
	for _, body := range []io.Reader{
		strings.NewReader(strings.Repeat("x", size)),                                               // with a length
		io.MultiReader(strings.NewReader(strings.Repeat("x", size-1)), io.LimitReader(zeros{}, 1)), // chunked
	} {
		resp, text := w.ask(http.MethodPut, "hello.localhost", "/upload", http.Header{"Expect": {"100-continue"}}, body)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, fmt.Sprintf("%d <nil>\n", size), text)
	}
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func proxyAccessLog(t *testing.T, w *world) {
	resp, body := w.ask(http.MethodPost, "hello.localhost", "/upload?password=hunter2", http.Header{"User-Agent": {"a \"story\""}}, strings.NewReader("12345"))
	record := w.access(resp.Header.Get("X-Request-Id"))
	for field, want := range map[string]any{
		"host": "hello.localhost", "app": "hello", "release": 1.0, "instance": "hello.web.v1.1", "method": "POST", "path": "/upload",
		"status": 200.0, "bytes_in": 5.0, "bytes_out": float64(len(body)), "agent": "a \"story\"",
	} {
		require.Equal(t, want, record[field], field)
	}
	require.Regexp(t, `^127\.0\.0\.1:\d+$`, record["remote"])
	require.Positive(t, record["ms"])
	require.LessOrEqual(t, record["upstream_ms"], record["ms"])
	began, err := time.Parse(time.RFC3339Nano, record["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), began, time.Minute)

	resp, _ = w.ask(http.MethodGet, "nobody.localhost", "/", nil, nil)
	record = w.access(resp.Header.Get("X-Request-Id"))
	require.Equal(t, 404.0, record["status"])
	require.Equal(t, "nobody.localhost", record["host"])
	require.Empty(t, record["app"])
	require.Equal(t, "unknown-host", record["error"])
	text, err := os.ReadFile(w.path("access.log"))
	require.NoError(t, err)
	require.NotContains(t, string(text), "hunter2", "a query is nobody's business")
}
