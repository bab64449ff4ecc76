package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
)

// world is a few instances of one app, of which each knows whether it has been
// drained: then a request that reaches it is a violation.
type world struct {
	r        *rig
	app      octo.Name
	ids      []octo.InstanceID
	quiet    []atomic.Bool
	violated atomic.Int32
}

func newWorld(r *rig, app octo.Name, n int) *world {
	w := &world{r: r, app: app, quiet: make([]atomic.Bool, n)}
	for i := range n {
		id := octo.NewInstanceID(app, octo.Web, 1, i+1)
		w.ids = append(w.ids, id)
		r.run(id, func(rw http.ResponseWriter, q *http.Request) {
			if w.quiet[i].Load() && wanted(q) {
				w.violated.Add(1)
			}
			misbehave(rw, q)
		})
	}
	return w
}

// wanted reports whether somebody waits for the answer. The app may come to read a
// request late that was cut or given up long before.
func wanted(q *http.Request) bool {
	select {
	case <-q.Context().Done():
		return false
	case <-time.After(2 * time.Second):
		return true
	}
}

// misbehave answers in the way that the path asks for.
func misbehave(rw http.ResponseWriter, q *http.Request) {
	switch q.URL.Path {
	case "/socket":
		echoSocket(rw, q)
	case "/break":
		panic(http.ErrAbortHandler)
	case "/half":
		_, _ = io.WriteString(rw, "half")
		flush(rw)
		panic(http.ErrAbortHandler)
	case "/slow":
		select {
		case <-time.After(3 * time.Millisecond):
		case <-q.Context().Done():
		}
	}
}

// visit makes one request of a kind, whose outcome does not matter.
func (w *world) visit(kind int) {
	host := string(w.app) + ".test"
	if kind == 0 {
		conn, err := net.Dial("tcp", w.r.Addr().String())
		if err != nil {
			return
		}
		if s, err := openSocket(conn, host); err == nil {
			_ = s.echo("x")
		}
		_ = conn.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	if kind == 1 {
		ctx, cancel = context.WithTimeout(ctx, time.Millisecond) //nolint:govet // the outer one ends by itself
	}
	defer cancel()
	path := []string{"", "/slow", "/break", "/half", "/", "/slow"}[kind]
	q, err := http.NewRequestWithContext(ctx, "GET", "http://"+w.r.Addr().String()+path, nil)
	if err != nil {
		return
	}
	q.Host = host
	res, err := http.DefaultTransport.RoundTrip(q)
	if err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// TestProperty_CountedInIsCountedOutAndTheDrainedAreLeftAlone is invariant 7 of the
// architecture.
func TestProperty_CountedInIsCountedOutAndTheDrainedAreLeftAlone(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold, c.Limits.Down = 5*time.Millisecond, 5*time.Millisecond })
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		w := newWorld(r, octo.Name(fmt.Sprintf("app%d", n)), 3)
		kinds := rapid.SliceOfN(rapid.IntRange(0, 5), 5, 25).Draw(rt, "requests")
		steps := rapid.SliceOfN(rapid.IntRange(0, 11), 1, 10).Draw(rt, "steps")
		w.r.route(w.app, w.ids...)
		var visitors sync.WaitGroup
		next := make(chan int)
		for range 4 {
			visitors.Go(func() {
				for kind := range next {
					w.visit(kind)
				}
			})
		}
		for i := range max(len(kinds), len(steps)) {
			next <- kinds[i%len(kinds)]
			if i < len(steps) {
				w.step(rt, steps[i])
			}
		}
		close(next)
		visitors.Wait()
		w.check(rt)
	})
	require.Eventually(t, func() bool { return r.Totals().Active == 0 }, 5*time.Second, time.Millisecond)
	require.Empty(t, r.fleet.backends)
}

// step drains an instance, forgets it, or routes to some.
func (w *world) step(rt *rapid.T, step int) {
	i := step % 3
	switch step / 3 {
	case 0:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*2*time.Millisecond)
		defer cancel()
		if _, err := w.r.Drain(ctx, w.ids[i]); err != nil {
			rt.Error(err)
		}
		if n := w.r.InFlight(w.ids[i]); n != 0 {
			rt.Errorf("%d in flight to a drained instance", n)
		}
		w.quiet[i].Store(true)
	case 1:
		w.quiet[i].Store(false)
		w.r.Forget(w.ids[i])
	case 2:
		w.r.route(w.app, w.ids[:i]...)
	default:
		w.r.route(w.app, w.ids[i:]...)
	}
}

func (w *world) check(rt *rapid.T) {
	if n := w.violated.Load(); n > 0 {
		rt.Errorf("%d requests reached a drained instance", n)
	}
	w.r.SetShard(string(w.app), nil)
	deadline := time.Now().Add(5 * time.Second)
	for _, id := range w.ids {
		for w.r.InFlight(id) != 0 {
			if time.Now().After(deadline) {
				rt.Fatalf("%d requests to %s were not counted out", w.r.InFlight(id), id)
			}
			<-time.After(time.Millisecond)
		}
		w.r.Forget(id)
	}
}

// TestProperty_NothingIsLostWhileReleasesChange deploys under every kind of load and
// expects that nobody notices.
func TestProperty_NothingIsLostWhileReleasesChange(t *testing.T) {
	r := start(t)
	d := &deployment{r: r}
	d.deploy(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var served atomic.Int64
	failures := make(chan error, 1000)
	run := func(visit func() error) {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := visit(); err != nil {
					failures <- err
				}
				served.Add(1)
			}
		})
	}
	keeping, posting := r.client(), r.client()
	for range 2 {
		run(func() error { return r.once(keeping, "GET", "/", "v") })
		run(func() error { return r.once(posting, "POST", "/", "v") })
		run(func() error {
			c := r.client()
			defer c.CloseIdleConnections()
			return r.once(c, "GET", "/", "v")
		})
		run(func() error { return r.once(keeping, "GET", "/events", "data: 4") })
		run(r.chat)
	}
	old := d.current
	for range 20 {
		begun := served.Load()
		require.Eventually(t, func() bool { return served.Load() >= begun+50 }, 20*time.Second, time.Millisecond)
		old = d.deploy(t, old)
	}
	stop()
	load.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	t.Logf("%d requests through 20 releases", served.Load())
	require.Positive(t, served.Load())
	require.Eventually(t, func() bool { return r.Totals().Active == 0 }, 5*time.Second, time.Millisecond)
}

// deployment replaces one release by the next as a node does.
type deployment struct {
	r       *rig
	release int
	current *release
}

type release struct {
	ids   []octo.InstanceID
	close []func()
}

// deploy starts two instances of the next release, routes to them alone, empties
// the old ones and stops them.
func (d *deployment) deploy(t *testing.T, old *release) *release {
	d.release++
	next := new(release)
	for i := range 2 {
		id := octo.NewInstanceID("app", octo.Web, d.release, i+1)
		srv := d.r.run(id, busy)
		next.ids, next.close = append(next.ids, id), append(next.close, srv.Close)
	}
	d.r.route("app", next.ids...)
	d.current = next
	if old == nil {
		return next
	}
	for i, id := range old.ids {
		cut, err := d.r.Drain(within(t, 20*time.Second), id)
		require.NoError(t, err)
		require.Zero(t, cut)
		old.close[i]()
		d.r.place(id, "")
		d.r.Forget(id)
	}
	return next
}

// busy is an app with a page, a stream and a socket.
func busy(w http.ResponseWriter, q *http.Request) {
	switch q.URL.Path {
	case "/socket":
		echoSocket(w, q)
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			flush(w)
			<-time.After(2 * time.Millisecond)
		}
	default:
		_, _ = io.Copy(io.Discard, q.Body)
		_, _ = io.WriteString(w, "v")
	}
}

// once makes one request whose answer must contain text.
func (r *rig) once(c *http.Client, method, path, text string) error {
	var body io.Reader
	if method == "POST" {
		body = &io.LimitedReader{R: zeros{}, N: 10_000}
	}
	q, err := http.NewRequest(method, "http://"+r.Addr().String()+path, body)
	if err != nil {
		return err
	}
	q.Host = "app.test"
	res, err := c.Do(q)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode != 200 || !containsText(got, text) {
		return fmt.Errorf("%s %s: %s %q", method, path, res.Status, got)
	}
	return nil
}

func containsText(b []byte, text string) bool {
	return len(b) >= len(text) && string(b[len(b)-len(text):]) == text || len(b) > 2 && string(b[len(b)-2-len(text):len(b)-2]) == text
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// chat has a conversation over a WebSocket.
func (r *rig) chat() error {
	conn, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	s, err := openSocket(conn, "app.test")
	for i := 0; i < 5 && err == nil; i++ {
		err = s.echo(fmt.Sprint("message ", i))
		<-time.After(time.Millisecond)
	}
	return err
}
