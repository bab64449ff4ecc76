package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/control"
	"github.com/octohost/octohost/internal/edge"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/proxy"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

var (
	root = octo.Identity{User: "root", Admin: true}
	ann  = octo.Identity{User: "ann"}
	bob  = octo.Identity{User: "bob"}
	carl = octo.Identity{User: "carl"}
)

// world is a Registry with all that is behind it: a store, a leader, and a proxy.
type world struct {
	*edge.Registry
	t     testing.TB
	store *bolt.Store
	proxy *proxy.Proxy
	zone  map[string][]string // what the DNS says

	mu     sync.Mutex
	events []octo.Event
}

// newWorld starts a world in which apps are below apps.example.net.
func newWorld(t testing.TB, apps ...octo.App) *world {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	w := &world{t: t, store: s}
	w.proxy, err = proxy.New(proxy.Config{
		Listener: l, Log: log, Resolve: func(octo.InstanceID) (string, bool) { return "", false },
		Page: func(ctx context.Context, app octo.Name, id string) (string, bool) { return w.Page(ctx, app, id) },
	})
	require.NoError(t, err)
	w.Registry = edge.New(edge.Config{
		Store: s, Domain: "apps.example.net", Router: w.proxy, Record: w.record, Log: log, Lookup: w.lookup,
		Otherwise: octo.Edge{Timeout: octo.Duration(time.Minute)},
		Most:      octo.Edge{Timeout: octo.Duration(time.Hour), Body: 1 << 30},
	})
	lease, err := s.Lease(context.Background(), time.Minute)
	require.NoError(t, err)
	for key, v := range map[string]any{store.NodesPrefix + "n1": octo.Node{Name: "n1"}, store.HavePrefix + "n1": []octo.Instance{}} {
		value, err := json.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, lease.Hold(context.Background(), key, value))
	}
	w.create(apps...)
	w.run(log)
	return w
}

// run starts the leader, the proxy, and what is between them.
func (w *world) run(log *slog.Logger) {
	ready := make(chan struct{})
	close(ready)
	loop := control.New(control.Config{Node: "n1", Domain: "apps.example.net", Store: w.store, Ready: ready, Record: func(octo.Event) {}, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return loop.Run(ctx) })
	g.Go(func() error { return w.proxy.Run(ctx) })
	g.Go(func() error {
		seen := map[string]store.Version{}
		for shards := range (store.Docs[[]octo.Route]{Store: w.store, Prefix: store.RoutesPrefix}).Watch(ctx) {
			for _, s := range shards {
				if seen[s.Name] != s.Version {
					w.proxy.SetShard(s.Name, s.Value)
				}
				seen[s.Name] = s.Version
			}
		}
		return nil
	})
	w.t.Cleanup(func() {
		cancel()
		require.NoError(w.t, g.Wait())
		require.NoError(w.t, w.store.Close())
	})
}

func (w *world) record(e octo.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) lookup(_ context.Context, host string) ([]string, error) {
	if found, ok := w.zone[host]; ok {
		return found, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (w *world) apps() store.Docs[octo.App] {
	return store.Docs[octo.App]{Store: w.store, Prefix: store.AppsPrefix}
}

// create writes apps; many at a time, for the store writes together what waits.
func (w *world) create(apps ...octo.App) {
	var g errgroup.Group
	g.SetLimit(64)
	for _, a := range apps {
		g.Go(func() error {
			_, err := w.apps().Create(context.Background(), string(a.Name), a)
			return err
		})
	}
	require.NoError(w.t, g.Wait())
}

// people are three apps of two people: carl may deploy one of ann's.
func people() []octo.App {
	return []octo.App{
		{Name: "hello", Owner: "ann", Access: map[string]octo.Role{"carl": octo.RoleDeployer}},
		{Name: "shop", Owner: "ann"},
		{Name: "rival", Owner: "bob"},
	}
}

func (w *world) add(who octo.Identity, app octo.Name, hosts ...string) error {
	_, err := w.AddDomains(context.Background(), who, app, hosts)
	return err
}

// hosts returns the names of an app that have a document.
func (w *world) hosts(app octo.Name) []string {
	w.t.Helper()
	list, err := w.Domains(context.Background(), app)
	require.NoError(w.t, err)
	hosts := []string{}
	for _, d := range list {
		if d.Source != octo.DomainDefault {
			hosts = append(hosts, d.Host)
		}
	}
	return hosts
}

// get asks the proxy for a host. It reports which app answers: the one on its page, for
// nothing runs.
func (w *world) get(host string) (*http.Response, page) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/path?q=1", w.proxy.Addr()), nil)
	require.NoError(w.t, err)
	req.Host = host
	req.Header.Set("Accept", "application/json")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(w.t, err)
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	var p page
	_ = json.Unmarshal(text, &p) // a redirect has no page
	return res, p
}

type page struct {
	Error, Message string
	App            octo.Name
}
