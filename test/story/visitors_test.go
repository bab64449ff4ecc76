package story_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// visitors use a site without a pause, in every way that there is, and note each
// request that was not answered as it should be.
type visitors struct {
	address string // of the proxy
	host    string
	expect  func(body string) error // says what is wrong with an answer of /; nil: anything goes

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	counts map[string]int // requests by kind
	lost   []string       // what went wrong, at most a few
	misses int

	missed  []time.Time   // when the lost ones were sent
	slowest time.Duration // of those that take no time by themselves
}

// visit sends visitors to a site until stop.
func (w *world) visit(host string, expect func(string) error) *visitors {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v := &visitors{address: w.http, host: host, expect: expect, cancel: cancel, counts: map[string]int{}}
	kept := &http.Client{Timeout: 30 * time.Second, Transport: v.transport(false)}
	fresh := &http.Client{Timeout: 30 * time.Second, Transport: v.transport(true)}
	v.keep(ctx, "keep-alive", 5*time.Millisecond, func() error { return v.page(kept) })
	v.keep(ctx, "keep-alive", 5*time.Millisecond, func() error { return v.page(kept) })
	v.keep(ctx, "new connection", 10*time.Millisecond, func() error { return v.page(fresh) })
	v.keep(ctx, "upload", 20*time.Millisecond, func() error { return v.upload(kept) })
	v.keep(ctx, "sse", 0, func() error { return v.stream(fresh) })
	v.keep(ctx, "websocket", 0, v.websocket)
	w.t.Cleanup(func() { v.stop() })
	return v
}

// keep does one thing again and again.
func (v *visitors) keep(ctx context.Context, kind string, pause time.Duration, visit func() error) {
	v.wg.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			v.note(kind, began, visit())
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	})
}

func (v *visitors) note(kind string, began time.Time, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts[kind]++
	if kind != "sse" && kind != "websocket" {
		v.slowest = max(v.slowest, time.Since(began))
	}
	if err == nil {
		return
	}
	v.misses++
	v.missed = append(v.missed, began)
	if len(v.lost) < 20 {
		v.lost = append(v.lost, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), kind, err))
	}
}

// stop sends the visitors home and returns what went wrong.
func (v *visitors) stop() (counts map[string]int, misses int, lost []string) {
	v.cancel()
	v.wg.Wait()
	return v.counts, v.misses, v.lost
}

func (v *visitors) transport(fresh bool) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: fresh, MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", v.address)
		},
	}
}

func (v *visitors) page(client *http.Client) error {
	resp, err := client.Get("http://" + v.host + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	if v.expect != nil {
		return v.expect(strings.TrimSpace(string(body)))
	}
	return nil
}

func (v *visitors) upload(client *http.Client) error {
	const size = 64 << 10
	resp, err := client.Post("http://"+v.host+"/upload", "application/octet-stream", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), fmt.Sprint(size, " "))) {
		err = fmt.Errorf("%s: %.100s", resp.Status, body)
	}
	return err
}

// stream reads a second of server-sent events, each of which must come.
func (v *visitors) stream(client *http.Client) error {
	const n = 10
	resp, err := client.Get(fmt.Sprintf("http://%s/sse?n=%d", v.host, n))
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if got := strings.Count(string(body), "data:"); resp.StatusCode != http.StatusOK || got != n {
		return fmt.Errorf("%s with %d of %d events", resp.Status, got, n)
	}
	return nil
}

// websocket speaks for a second over one connection (RFC 6455).
func (v *visitors) websocket() error {
	conn, err := net.DialTimeout("tcp", v.address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // a test's
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", v.host)
	if err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(resp.Status)
	}
	for range 10 {
		if err := echo(conn, r, "hello"); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the pace of the conversation, not a wait for something
	}
	return nil
}

// echo sends one masked text frame and reads the answer.
func echo(conn net.Conn, r *bufio.Reader, text string) error {
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	answer := make([]byte, 2+len(text))
	if _, err := io.ReadFull(r, answer); err != nil {
		return err
	}
	if got := string(answer[2:]); got != text {
		return fmt.Errorf("the echo is %q", got)
	}
	return nil
}
