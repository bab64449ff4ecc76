package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
)

func testRoutes(log io.Writer) *routes {
	f := newFleet(func(*backend) *http.Transport { return new(http.Transport) }, time.Minute)
	return newRoutes(f, new(Limits), slog.New(slog.NewTextHandler(log, nil)))
}

func (r *routes) owner(host string) octo.Name {
	if s := r.table.Load().site([]byte(host)); s != nil {
		return s.route.App
	}
	return ""
}

func claim(app octo.Name, hosts ...string) octo.Route { return octo.Route{App: app, Hosts: hosts} }

func (r *routes) put(shard string, list ...octo.Route) {
	r.set(map[string][]octo.Route{shard: list}, false)
}

func TestTable_FirstClaimWinsForAsLongAsItIsHeld(t *testing.T) {
	log := new(lines)
	r := testRoutes(log)
	r.put("2", claim("m", "x.test"))
	r.put("1", claim("a", "x.test", "a.test"))
	r.put("3", claim("z", "x.test"))
	require.Equal(t, octo.Name("m"), r.owner("x.test"))
	require.Contains(t, log.buf.String(), "host=x.test app=m without=a")
	require.Contains(t, log.buf.String(), "host=x.test app=m without=z")

	r.put("2", octo.Route{App: "m", Hosts: []string{"X.test."}, Release: 2})
	require.Equal(t, octo.Name("m"), r.owner("x.test"), "a new release keeps it")
	r.put("2", claim("m", "m.test"))
	require.Equal(t, octo.Name("a"), r.owner("x.test"), "who waits gets it, by name")
	r.put("2", claim("m", "m.test", "x.test"))
	require.Equal(t, octo.Name("a"), r.owner("x.test"))
	r.put("1")
	require.Equal(t, octo.Name("m"), r.owner("x.test"))
	require.Empty(t, r.owner("a.test"))
	r.put("2")
	r.put("3")
	require.Empty(t, r.owner("x.test"))
}

func TestTable_InOneShardTheOrderDecides(t *testing.T) {
	r := testRoutes(io.Discard)
	r.put("1", claim("b", "x.test"), claim("a", "x.test"), claim("b", "y.test"))
	require.Equal(t, octo.Name("b"), r.owner("x.test"))
	require.Empty(t, r.owner("y.test"), "an app has one route")
}

func TestTable_IsLeftAloneWhenNothingChanged(t *testing.T) {
	r := testRoutes(io.Discard)
	r.put("1")
	require.True(t, r.table.Load().loaded)
	r.put("1", routeTo("a", "a.web.v1.1"), claim("b", "b.test"))
	before := r.table.Load()
	r.put("1", claim("b", "b.test"), routeTo("a", "a.web.v1.1"))
	r.put("2")
	require.Same(t, before, r.table.Load())
	r.put("1", claim("b", "b.test"), routeTo("a", "a.web.v1.2"))
	require.NotSame(t, before, r.table.Load())
	select {
	case <-before.next:
	default:
		require.Fail(t, "nobody was told")
	}
	a, _ := before.apps.find([]byte("b"))
	b, _ := r.table.Load().apps.find([]byte("b"))
	require.Same(t, a, b, "what did not change is shared")
}

func TestTable_KeepsNothingOfItsGiver(t *testing.T) {
	r := testRoutes(io.Discard)
	given := []octo.Route{routeTo("a", "a.web.v1.1")}
	r.put("1", given...)
	given[0].Hosts[0], given[0].Backends[0].Instance = "evil.test", "evil.web.v1.1"
	route, ok := r.table.Load().route("a")
	require.True(t, ok)
	require.Equal(t, routeTo("a", "a.web.v1.1"), route)
}

// TestTable_IsAFunctionOfItsShards compares the table with the simplest model: the
// claims of every host in a list.
func TestTable_IsAFunctionOfItsShards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := testRoutes(io.Discard)
		shards, claims := map[string][]octo.Route{}, map[string][]octo.Name{}
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			n := rapid.IntRange(0, 3).Draw(t, "shard")
			shard, list := fmt.Sprint(n), []octo.Route(nil)
			for app := range 3 {
				if rapid.Bool().Draw(t, "routed") {
					hosts := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID).Draw(t, "hosts")
					list = append(list, claim(octo.Name(fmt.Sprintf("app%d%d", app, n)), hosts...))
				}
			}
			model(claims, shards[shard], list)
			shards[shard] = list
			r.put(shard, list...)
			for _, host := range []string{"a", "b", "c", "d"} {
				want := octo.Name("")
				if c := claims[host]; len(c) > 0 {
					want = c[0]
				}
				if got := r.owner(host); got != want {
					t.Fatalf("%s is %q's, want %q", host, got, want)
				}
			}
		}
		for name := range shards {
			r.put(name)
		}
		if last := r.table.Load(); last.apps.size+last.hosts.size != 0 {
			t.Fatalf("%d apps and %d hosts are left", last.apps.size, last.hosts.size)
		}
	})
}

// model enters the change of a shard into the list of claims.
func model(claims map[string][]octo.Name, was, is []octo.Route) {
	for _, host := range []string{"a", "b", "c", "d"} {
		for _, route := range was {
			if !slices.ContainsFunc(is, func(r octo.Route) bool { return r.App == route.App && slices.Contains(r.Hosts, host) }) {
				claims[host] = slices.DeleteFunc(claims[host], func(n octo.Name) bool { return n == route.App })
			}
		}
		for _, route := range is {
			if slices.Contains(route.Hosts, host) && !slices.Contains(claims[host], route.App) {
				c := append(claims[host], route.App)
				slices.Sort(c[min(1, len(c)):])
				claims[host] = c
			}
		}
	}
}
