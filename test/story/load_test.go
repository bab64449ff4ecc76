package story_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The original lost requests in every deploy. Twenty redeploys of an app that is
// slow to start, under load of every kind: none is lost.
func TestLoad_TwentyRedeploysLoseNoRequest(t *testing.T) {
	w := newWorld(t)
	r := w.repo("slow", "START_DELAY=3s")
	r.deploy("v1")
	visitors := w.visit("slow.localhost", func(body string) error {
		if !strings.HasPrefix(body, "v") {
			return fmt.Errorf("the answer is %q", body)
		}
		return nil
	})
	for n := range 20 {
		r.deploy(fmt.Sprintf("v%d", n+2))
	}
	counts, misses, lost := visitors.stop()
	t.Logf("requests: %v", counts)
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
	for _, kind := range []string{"keep-alive", "new connection", "upload", "sse", "websocket"} {
		require.Greater(t, counts[kind], 10, kind)
	}
}

func TestLoad_RollbackLosesNoRequest(t *testing.T) {
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.deploy("v2")
	visitors := w.visit("hello.localhost", nil)
	out := w.octo("rollback", "-a", "hello")
	out.ok()
	_, body := w.get("hello.localhost", "/")
	require.Contains(t, body, "v1")
	_, misses, lost := visitors.stop()
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
}

// A release that fails must not touch those who use the one before.
func TestLoad_FailedReleaseIsNotNoticed(t *testing.T) {
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	visitors := w.visit("hello.localhost", func(body string) error {
		if body != "v1" {
			return fmt.Errorf("the answer is %q", body)
		}
		return nil
	})
	r.write("Dockerfile", hello("EXIT_CODE=3"))
	r.commit("v2")
	out := r.push().fails()
	require.Contains(t, out, "[remote rejected] main -> main")
	require.Contains(t, out, "v1 is still serving")
	_, misses, lost := visitors.stop()
	require.Zero(t, misses, "%s", strings.Join(lost, "\n"))
}

// What is under way when a new release takes over comes to its end.
func TestLoad_RequestsInFlightAreDrained(t *testing.T) {
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	type answer struct {
		status int
		body   string
	}
	slow := make(chan answer, 1)
	go func() { // ends with the request
		status, body := w.get("hello.localhost", "/slow?for=5s")
		slow <- answer{status, body}
	}()
	w.eventually(5*time.Second, "the slow request arrives", func() bool { return w.inFlight("hello") > 0 })
	r.deploy("v2")
	select {
	case a := <-slow:
		t.Fatalf("the request ended before its time: %v", a)
	default:
	}
	a := <-slow
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, "done")
	w.eventually(40*time.Second, "the old container goes", func() bool { return len(w.containers("hello")) == 1 })
}
