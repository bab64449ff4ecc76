package story_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// fleet deploys apps that each answer with their own name, from one repository: what
// differs between their images is one file.
func (w *world) fleet(apps ...string) {
	w.t.Helper()
	r := w.repo(apps[0])
	commits := map[string]string{}
	for _, app := range apps {
		r.commit(app)
		commits[app] = strings.TrimSpace(r.git("rev-parse", "HEAD").ok())
	}
	push := func(app string) result { return r.git("push", "-q", w.gitURL(app), commits[app]+":refs/heads/main") }
	push(apps[0]).ok() // the others find the program built, and the host's key known
	var wg sync.WaitGroup
	turns := make(chan struct{}, 4)
	results := make([]result, len(apps))
	for i, app := range apps[1:] {
		turns <- struct{}{}
		wg.Go(func() { results[i] = push(app); <-turns })
	}
	wg.Wait()
	for _, res := range results {
		require.Zero(w.t, res.code, "%s\n%s", strings.Join(res.args, " "), res.err)
	}
}

// appNames returns n names.
func appNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("app-%02d", i+1))
	}
	return names
}

// answer is what one request got.
type answer struct {
	app    string
	at     time.Time // when it was sent
	took   time.Duration
	status int    // 0: there was no answer
	text   string // body, or why there was none
}

// good reports whether the app itself answered.
func (a answer) good() bool { return a.status == http.StatusOK && a.text == a.app }

// foreign reports whether something answered that is not the app, nor an error page.
func (a answer) foreign() bool { return a.status == http.StatusOK && a.text != a.app }

func (a answer) String() string {
	return fmt.Sprintf("%s %s after %s: %d %.80q", a.at.Format("15:04:05.000"), a.app, a.took.Round(time.Millisecond), a.status, a.text)
}

// audience asks every app for its page, again and again, over kept and over new
// connections, and remembers every answer.
type audience struct {
	w      *world
	apps   []string
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	answers map[string][]answer // by app, in order
}

// askEvery is the pace of an audience, for each app.
const askEvery = 100 * time.Millisecond

// seat lets an audience in; it leaves at the end of the test.
func (w *world) seat(apps ...string) *audience {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &audience{w: w, apps: apps, cancel: cancel, answers: map[string][]answer{}}
	dial := w.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	for i, app := range apps {
		a.wg.Go(func() { a.watch(ctx, app, time.Duration(i)*askEvery/time.Duration(len(apps)), dial) })
	}
	w.t.Cleanup(a.leave)
	return a
}

func (a *audience) leave() {
	a.cancel()
	a.wg.Wait()
}

// watch asks one app, every second time over a new connection.
func (a *audience) watch(ctx context.Context, app string, first time.Duration, dial func(context.Context, string, string) (net.Conn, error)) {
	client := func(fresh bool) *http.Client {
		return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: fresh, DialContext: dial}}
	}
	clients := [2]*http.Client{client(false), client(true)}
	defer clients[0].CloseIdleConnections()
	wait := first
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		got := a.ask(clients[n%2], app)
		a.mu.Lock()
		a.answers[app] = append(a.answers[app], got)
		a.mu.Unlock()
		wait = max(0, askEvery-got.took)
	}
}

func (a *audience) ask(client *http.Client, app string) (got answer) {
	got = answer{app: app, at: time.Now()}
	defer func() { got.took = time.Since(got.at) }()
	req, err := http.NewRequest(http.MethodGet, "http://"+a.w.http+"/", nil)
	if err != nil {
		got.text = err.Error()
		return got
	}
	req.Host = app + ".localhost"
	resp, err := client.Do(req)
	if err != nil {
		got.text = err.Error()
		return got
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		got.text = err.Error()
		return got
	}
	got.status, got.text = resp.StatusCode, strings.TrimSpace(string(body))
	return got
}

// pleased reports whether each app gave good answers only to the last n requests,
// all of them sent after since.
func (a *audience) pleased(n int, since time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, app := range a.apps {
		last := a.answers[app]
		if len(last) < n || last[len(last)-n].at.Before(since) {
			return false
		}
		if slices.ContainsFunc(last[len(last)-n:], func(g answer) bool { return !g.good() }) {
			return false
		}
	}
	return true
}

// review is what an audience saw since some time.
type review struct {
	requests, lost int
	statuses       map[int]int // of those that were lost; 0: no answer at all
	foreign        []answer
	samples        []answer      // of those that were lost
	slowest        time.Duration // of the good ones
	back           time.Duration // from the time until the last app was good again, and stayed so
}

// review sums up what was seen since some time.
func (a *audience) review(since time.Time) review {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := review{statuses: map[int]int{}}
	for _, app := range slices.Sorted(maps.Keys(a.answers)) {
		back := since
		for _, g := range a.answers[app] {
			if g.at.Before(since) {
				continue
			}
			r.requests++
			switch {
			case g.foreign():
				r.foreign = append(r.foreign, g)
			case g.good():
				r.slowest = max(r.slowest, g.took)
				if back.IsZero() {
					back = g.at.Add(g.took)
				}
				continue
			}
			r.lost++
			r.statuses[g.status]++
			back = time.Time{}
			if len(r.samples) < 10 {
				r.samples = append(r.samples, g)
			}
		}
		if !back.IsZero() {
			r.back = max(r.back, back.Sub(since))
		}
	}
	return r
}

func (r review) String() string {
	return fmt.Sprintf("%d requests, %d lost %v, %d answered by another app; slowest good answer %s; all apps back after %s",
		r.requests, r.lost, r.statuses, len(r.foreign), r.slowest.Round(time.Millisecond), r.back.Round(10*time.Millisecond))
}
