package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

var siteCounts = []int{10, 10_000, 100_000}

// filled returns a table of n sites in 256 shards, as the store would give them.
func filled(n int) (*routes, map[string][]octo.Route) {
	shards := make(map[string][]octo.Route)
	for i := range n {
		app := octo.Name(fmt.Sprintf("app%d", i))
		shard := fmt.Sprintf("%02x", i%256)
		shards[shard] = append(shards[shard], octo.Route{
			App: app, Hosts: []string{string(app) + ".example.com", "www." + string(app) + ".example"}, Release: 1,
			Backends: []octo.Backend{{Instance: octo.NewInstanceID(app, octo.Web, 1, 1), Node: "a"}},
		})
	}
	r := testRoutes(io.Discard)
	r.set(shards, true)
	return r, shards
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range siteCounts {
		r, _ := filled(n)
		hosts := make([]string, 1024)
		for i := range hosts {
			hosts[i] = fmt.Sprintf("App%d.Example.com:80", i%n)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var buf [maxHost + 3]byte
				host, _ := appendHost(buf[:0], hosts[i%len(hosts)])
				if r.table.Load().site(host) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

func TestLookup_DoesNotAllocate(t *testing.T) {
	r, _ := filled(1000)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var buf [maxHost + 3]byte
		host, _ := appendHost(buf[:0], "APP7.example.com.:8080")
		if s := r.table.Load().site(host); s == nil || s.pick(nil, 0) == nil {
			t.Error("not found")
		}
	}))
}

// BenchmarkSetShard changes one site: another release takes the place of the present
// one.
func BenchmarkSetShard(b *testing.B) {
	for _, n := range siteCounts {
		r, shards := filled(n)
		list := shards["07"]
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				list[0].Release = i + 2
				list[0].Backends = []octo.Backend{{Instance: octo.NewInstanceID(list[0].App, octo.Web, i%2+1, 1), Node: "a"}}
				r.put("07", list...)
			}
		})
	}
}

// answer1K is what the app of BenchmarkForward says.
var answer1K = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n" +
	"Date: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\n" + strings.Repeat("x", 1024)

// terse answers every request on l at the least cost.
func terse(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // ends with its connection
			defer func() { _ = c.Close() }()
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if strings.HasSuffix(string(b[:n]), "\r\n\r\n") {
					_, _ = io.WriteString(c, answer1K)
				}
			}
		}()
	}
}

// BenchmarkForward compares the proxy with nothing but a ReverseProxy that has the
// same Transport, over real connections, by the CPU time of the whole process.
func BenchmarkForward(b *testing.B) {
	app, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer func() { _ = app.Close() }()
	go terse(app) // ends with its listener

	r := start(b, func(c *Config) { c.AccessLog, c.Lines = io.Discard, func([]octo.LogLine) {} })
	r.place("app.web.v1.1", app.Addr().String())
	r.route("app", "app.web.v1.1")
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	srv := plainProxy(app.Addr().String())
	defer func() { _ = srv.Close() }()
	go func() { _ = srv.Serve(plain) }() // ends with its listener

	cpu := make(map[string]float64)
	for _, side := range []struct{ name, addr string }{{"plain", plain.Addr().String()}, {"proxy", r.Addr().String()}} {
		b.Run(side.name, func(b *testing.B) {
			b.ReportAllocs()
			cpu[side.name] = float64(hammer(b, side.addr)) / float64(b.N)
			b.ReportMetric(cpu[side.name], "cpu-ns/op")
			if cpu["plain"] > 0 && side.name == "proxy" {
				b.ReportMetric(cpu["proxy"]/cpu["plain"], "cpu-ratio")
			}
		})
	}
}

func plainProxy(addr string) *http.Server {
	f := newForwarder(Limits{}.withDefaults(), func(octo.InstanceID) (string, bool) { return addr, true })
	target := &url.URL{Scheme: "http", Host: addr}
	return &http.Server{
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		Handler: &httputil.ReverseProxy{
			Rewrite: func(pr *httputil.ProxyRequest) {
				pr.SetURL(target)
				pr.SetXForwarded()
				pr.Out.Host = pr.In.Host
			},
			Transport: f.transport(newBackend("app.web.v1.1")), BufferPool: new(bufferPool),
		},
	}
}

// hammer makes b.N requests over 8 connections and returns the CPU time spent.
func hammer(b *testing.B, addr string) time.Duration {
	b.SetParallelism(4)
	before := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		const request = "GET /some/path?query=1 HTTP/1.1\r\nHost: app.test\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\n"
		buf := make([]byte, 8192)
		size := 0
		for pb.Next() {
			_, _ = io.WriteString(c, request)
			n, err := io.ReadAtLeast(c, buf, max(size, 1024+100))
			if err != nil {
				b.Error(err)
				return
			}
			size = n // always the same: ids and dates have one length
		}
	})
	return cpuTime() - before
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRecord is what taking note of a request costs: add while it is on its way,
// and flush, which puts it into words, behind its back.
func BenchmarkRecord(b *testing.B) {
	rec := record{
		Time: time.Now(), ID: "019ab4a5-7b4e-7c4e-9d0f-0123456789ab", Host: "app.example.com", App: "app", Release: 3, Instance: "app.web.v3.1",
		Method: "GET", Path: "/some/path", Status: 200, Out: 1024, Total: 8 * time.Millisecond, Upstream: 7 * time.Millisecond,
		Remote: "192.0.2.1:4711", Agent: "Mozilla/5.0 (X11; Linux x86_64) bench", Connect: time.Millisecond, Client: "192.0.2.1",
	}
	cfg := &Config{AccessLog: io.Discard, Lines: func([]octo.LogLine) {}}
	b.Run("add", func(b *testing.B) {
		a := newAccessLog(cfg, slog.New(slog.DiscardHandler), 1<<30)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			a.add(&rec, 50)
			if i%1000 == 0 {
				a.pending = a.pending[:0]
			}
		}
	})
	b.Run("flush", func(b *testing.B) {
		a := newAccessLog(cfg, slog.New(slog.DiscardHandler), 1<<30)
		b.ReportAllocs()
		for b.Loop() {
			for range 1000 {
				a.pending = append(a.pending, rec)
			}
			a.flush()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
	})
}
