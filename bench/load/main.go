// Load sends requests to a site without a pause, half of them over connections that
// are kept alive and half over new ones, and tells how each ended.
//
//	load -host hello.localhost -addr 127.0.0.1:8080 [-rate 200] [-for 10s] [-until TEXT]
//
// It ends after -for, or at SIGINT or SIGTERM, and exits 1 when a request was lost:
// not answered, or answered with anything but 2xx.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// report is what was seen.
type report struct {
	mu        sync.Mutex
	Requests  int            `json:"requests"`
	Lost      int            `json:"lost"`
	Errors    map[string]int `json:"errors,omitempty"`
	Answers   map[string]int `json:"answers"` // by first line of the body
	Seconds   float64        `json:"seconds"`
	P50       float64        `json:"p50_ms"`
	P99       float64        `json:"p99_ms"`
	Max       float64        `json:"max_ms"`
	FirstSeen float64        `json:"first_seen_s,omitempty"` // when -until was first answered
	took      []time.Duration
}

type load struct {
	host, addr, path, until string
	rate                    int
	began                   time.Time
	report                  report
}

func main() {
	l := &load{began: time.Now(), report: report{Errors: map[string]int{}, Answers: map[string]int{}}}
	flag.StringVar(&l.host, "host", "hello.localhost", "Host header")
	flag.StringVar(&l.addr, "addr", "127.0.0.1:8080", "address to connect to")
	flag.StringVar(&l.path, "path", "/", "path to request")
	flag.StringVar(&l.until, "until", "", "note when an answer first contains this")
	flag.IntVar(&l.rate, "rate", 200, "requests per second")
	span := flag.Duration("for", time.Hour, "how long")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *span)
	defer cancel()
	l.run(ctx)
	l.finish()
	if l.report.Lost > 0 {
		os.Exit(1)
	}
}

// run sends requests at the rate until ctx is done, and waits for the last answers.
func (l *load) run(ctx context.Context) {
	kept := l.client(false)
	fresh := l.client(true)
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		client := kept
		if i%2 == 1 {
			client = fresh
		}
		wg.Go(func() { l.one(client) })
	}
}

func (l *load) client(fresh bool) *http.Client {
	dial := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: fresh, MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial.DialContext(ctx, network, l.addr)
		},
	}}
}

// one sends one request and notes how it ended.
func (l *load) one(client *http.Client) {
	began := time.Now()
	resp, err := client.Get("http://" + l.host + l.path)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it was read to its end
	}
	took := time.Since(began)

	r := &l.report
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Requests++
	r.took = append(r.took, took)
	switch {
	case err != nil:
		r.Lost++
		r.Errors[err.Error()]++
	case resp.StatusCode/100 != 2:
		r.Lost++
		r.Errors[resp.Status]++
	default:
		line, _, _ := strings.Cut(string(body), "\n")
		r.Answers[line]++
		if l.until != "" && r.FirstSeen == 0 && strings.Contains(line, l.until) {
			r.FirstSeen = time.Since(l.began).Seconds()
		}
	}
}

// finish prints the report as JSON.
func (l *load) finish() {
	r := &l.report
	r.Seconds = time.Since(l.began).Seconds()
	slices.Sort(r.took)
	at := func(p float64) float64 {
		if len(r.took) == 0 {
			return 0
		}
		return float64(r.took[int(float64(len(r.took)-1)*p)].Microseconds()) / 1000
	}
	r.P50, r.P99, r.Max = at(.5), at(.99), at(1)
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
