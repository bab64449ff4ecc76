package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// rig is a running proxy with apps behind it.
type rig struct {
	*Proxy
	t    testing.TB
	log  *lines
	stop func() // ends Run and waits for it

	mu    sync.Mutex
	addrs map[octo.InstanceID]string
}

// start runs a proxy on a free port until the test ends.
func start(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &rig{t: t, log: new(lines), addrs: make(map[octo.InstanceID]string)}
	cfg := Config{
		Listener: l, Resolve: r.resolve, AccessLog: r.log,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Limits: Limits{Shutdown: time.Second, LastCall: time.Millisecond},
	}
	for _, c := range change {
		c(&cfg)
	}
	r.Proxy, err = New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = func() { cancel(); running.Wait() }
	t.Cleanup(r.stop)
	return r
}

func (r *rig) resolve(id octo.InstanceID) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	addr, ok := r.addrs[id]
	return addr, ok
}

// place says where an instance is; an empty address means nowhere.
func (r *rig) place(id octo.InstanceID, addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.addrs, id)
	if addr != "" {
		r.addrs[id] = addr
	}
}

// run starts an instance that answers with h.
func (r *rig) run(id octo.InstanceID, h http.HandlerFunc, change ...func(*http.Server)) *httptest.Server {
	r.t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.DisableGeneralOptionsHandler = true
	for _, c := range change {
		c(srv.Config)
	}
	srv.Start()
	r.t.Cleanup(srv.Close)
	r.place(id, srv.Listener.Addr().String())
	return srv
}

// route sends NAME.test to instances of the app NAME, in a shard of its own.
func (r *rig) route(app octo.Name, ids ...octo.InstanceID) {
	r.SetShard(string(app), []octo.Route{routeTo(app, ids...)})
}

func routeTo(app octo.Name, ids ...octo.InstanceID) octo.Route {
	route := octo.Route{App: app, Hosts: []string{string(app) + ".test"}, Release: 1}
	for _, id := range ids {
		route.Backends = append(route.Backends, octo.Backend{Instance: id, Node: "a"})
	}
	return route
}

// site runs an app with one instance, "NAME.web.v1.1", and routes to it.
func (r *rig) site(app octo.Name, h http.HandlerFunc) octo.InstanceID {
	r.t.Helper()
	id := octo.NewInstanceID(app, octo.Web, 1, 1)
	r.run(id, h)
	r.route(app, id)
	return id
}

// request makes a request to the proxy for a host.
func (r *rig) request(method, host, path string, body io.Reader) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.Addr().String()+path, body)
	require.NoError(r.t, err)
	req.Host = host
	return req
}

// client returns a client with its own connections.
func (r *rig) client() *http.Client {
	tr := &http.Transport{DisableCompression: true}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// do makes a request on a new connection.
func (r *rig) do(req *http.Request) *http.Response {
	r.t.Helper()
	res, err := r.client().Do(req)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// get asks for the path of a host and returns the answer with its body.
func (r *rig) get(host, path string) (*http.Response, string) {
	r.t.Helper()
	return r.read(r.do(r.request("GET", host, path, nil)))
}

func (r *rig) read(res *http.Response) (*http.Response, string) {
	r.t.Helper()
	body, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return res, string(body)
}

// raw is a connection on which requests are written by hand.
type raw struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (r *rig) dial() *raw {
	r.t.Helper()
	c, err := net.Dial("tcp", r.Addr().String())
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	require.NoError(r.t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &raw{c, r.t, bufio.NewReader(c)}
}

// send writes text, with its line ends made CRLF.
func (c *raw) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n"))
	require.NoError(c.t, err)
}

// response reads an answer to a GET.
func (c *raw) response() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: "GET"})
	require.NoError(c.t, err)
	return res
}

// line reads a line without its end.
func (c *raw) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	require.NoError(c.t, err)
	return strings.TrimRight(s, "\r\n")
}

// lines is an access log in memory.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

type logged struct {
	Time       time.Time
	ID         string
	Host       string
	App        string
	Release    int
	Instance   string
	Method     string
	Path       string
	Status     int
	BytesIn    int64   `json:"bytes_in"`
	BytesOut   int64   `json:"bytes_out"`
	MS         float64 `json:"ms"`
	UpstreamMS float64 `json:"upstream_ms"`
	HeldMS     float64 `json:"held_ms"`
	Remote     string
	Agent      string
	Retries    int
	Upgraded   bool
	Error      string
}

func (l *lines) all(t testing.TB) (out []logged) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	dec := json.NewDecoder(bytes.NewReader(l.buf.Bytes()))
	for dec.More() {
		var rec logged
		require.NoError(t, dec.Decode(&rec))
		out = append(out, rec)
	}
	return out
}

// await waits for the nth record.
func (l *lines) await(t testing.TB, n int) logged {
	t.Helper()
	return l.first(t, n)[n-1]
}

// first waits for n records.
func (l *lines) first(t testing.TB, n int) []logged {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.all(t)) >= n }, 10*time.Second, 5*time.Millisecond)
	return l.all(t)[:n]
}

// hello answers with text.
func hello(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// deadPort returns an address on which nobody listens.
func deadPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
