package story_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// away is how long the engine is stopped.
const away = time.Minute

// The engine is stopped for a minute. Meanwhile octohost says what is wrong to
// everybody who asks, and afterwards all is as it was, with no help.
func TestEngineAway_OctoSaysSoAndRecovers(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	w := m.world()
	w.fleet("one", "two")
	r := w.repo("three")
	r.deploy("three")
	a := w.seat("one", "two", "three")
	w.eventually(10*time.Second, "all apps answer", func() bool { return a.pleased(3, time.Time{}) })

	began := time.Now()
	m.stopEngine(syscall.SIGTERM)
	stopped := time.Now()
	w.eventually(20*time.Second, "visitors are told", func() bool {
		status, _ := w.get("one.localhost", "/")
		return status == http.StatusServiceUnavailable
	})
	w.checkSorry("one", "text/html", "<h1>Not available</h1>")
	w.checkSorry("two", "application/json", `"error":"no-instance"`)
	w.checkSorry("three", "*/*", "503 Not available")

	doctor := w.octo("doctor")
	require.NotZero(t, doctor.code)
	require.Contains(t, doctor.out, "no Docker Engine answers at "+m.address())
	require.Contains(t, doctor.out, "start it with")

	r.commit("v2")
	refused := time.Now()
	out := r.push().fails()
	require.Less(t, time.Since(refused), 20*time.Second, "a push that cannot work is not kept waiting")
	require.Contains(t, out, "no Docker Engine answers")
	require.Contains(t, out, "[remote rejected] main -> main")

	w.eventually(20*time.Second, "no app is said to be up", func() bool {
		var all []octo.AppStatus
		w.json(&all, "apps")
		up := slices.ContainsFunc(all, func(a octo.AppStatus) bool { return a.State != octo.StateDown || a.Healthy > 0 })
		return len(all) == 3 && !up
	})
	require.Contains(t, w.octo("ps", "one").ok(), "the container engine does not answer")
	w.octo("events").ok()

	rest := time.NewTimer(time.Until(stopped.Add(away)))
	<-rest.C
	seen := a.review(began)
	require.Zero(t, seen.statuses[0], "everybody has an answer: %v", seen.samples)
	require.LessOrEqual(t, seen.statuses[http.StatusBadGateway], 3, "what was under way in an app when it ended, and nothing else: %v", seen.samples)
	m.startEngine()
	back := time.Now()
	w.eventually(backWithin, "all apps answer again", func() bool { return a.pleased(5, back) })
	t.Logf("engine away for %s: %v; all apps back %s after it", time.Since(stopped).Round(time.Second), a.review(began), a.review(back).back.Round(10*time.Millisecond))
	require.Empty(t, a.review(began).foreign)
	a.leave()
	r.push().ok()
	_, body := w.get("three.localhost", "/")
	require.Equal(t, "v2", strings.TrimSpace(body))
	require.Contains(t, w.octo("doctor").out, "Docker 2")
}

// checkSorry checks the page of an app that is not available: a 503 that says when to
// come back, in the form that was asked for, with the id of the request.
func (w *world) checkSorry(app, accept, says string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+w.http+"/", nil)
	require.NoError(w.t, err)
	req.Host = app + ".localhost"
	req.Header.Set("Accept", accept)
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.dial}}
	resp, err := client.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	body := string(text)
	require.Equal(w.t, http.StatusServiceUnavailable, resp.StatusCode, body)
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(w.t, err)
	require.Positive(w.t, seconds)
	require.Contains(w.t, body, says)
	require.Contains(w.t, body, resp.Header.Get("X-Request-Id"))
	require.NotEmpty(w.t, resp.Header.Get("X-Request-Id"))
}
