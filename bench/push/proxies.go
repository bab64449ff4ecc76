package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octohost/octohost/bench/stage"
)

// proxies measures requests per second over connections that are kept: straight to
// the app, through octo, and through a plain httputil.ReverseProxy with a tuned
// transport. Rounds alternate, and the best of each counts.
func (b *bench) proxies(h *stage.Host) (direct, through, plain float64, err error) {
	out, err := exec.Command("docker", "ps", "-q", "--filter", "label=octohost.app=hello").Output()
	if err != nil {
		return 0, 0, 0, err
	}
	ids := strings.Fields(string(out))
	if len(ids) == 0 {
		return 0, 0, 0, errors.New("the app's container is not there")
	}
	out, err = exec.Command("docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", ids[0]).Output() //nolint:gosec // our own
	if err != nil {
		return 0, 0, 0, err
	}
	origin := "http://" + strings.TrimSpace(string(out)) + ":5000"
	peer, address, err := startPlain(origin)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = peer.Process.Kill(); _ = peer.Wait() }() // it has done its work
	for range 3 {
		for _, m := range []struct {
			url, host string
			best      *float64
		}{{origin, "", &direct}, {"http://" + h.HTTP, "hello.localhost", &through}, {"http://" + address, "", &plain}} {
			rate, err := throughput(m.url+"/", m.host)
			if err != nil {
				return 0, 0, 0, err
			}
			*m.best = max(*m.best, rate)
		}
	}
	return direct, through, plain, nil
}

// startPlain starts this program once more, as a plain reverse proxy in front of an
// origin: like octo, it must not share a process with the clients.
func startPlain(origin string) (*exec.Cmd, string, error) {
	address, err := stage.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, "-plain", origin, "-listen", address) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return cmd, address, conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return cmd, "", errors.New("the plain proxy does not come up")
}

// servePlain is what startPlain starts.
func servePlain(origin, address string) error {
	target, err := url.Parse(origin)
	if err != nil {
		return err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	return (&http.Server{Addr: address, Handler: proxy, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()
}

// throughput counts the requests that 32 clients get answered in three seconds.
func throughput(target, host string) (float64, error) {
	const clients, span = 32, 3 * time.Second
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}}
	var count, failed atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(span)
	for range clients {
		wg.Go(func() {
			for time.Now().Before(end) {
				req, err := http.NewRequest(http.MethodGet, target, nil)
				if err != nil {
					failed.Add(1)
					return
				}
				req.Host = host
				resp, err := client.Do(req)
				if err != nil || resp.StatusCode != http.StatusOK || stage.DrainBody(resp) != nil {
					failed.Add(1)
					continue
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		return 0, fmt.Errorf("%d requests to %s failed", n, target)
	}
	return float64(count.Load()) / span.Seconds(), nil
}
