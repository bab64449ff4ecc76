package story_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// backWithin is how long octohost may take to serve everything again, from when the
// engine answers. It is much on purpose: tests share a small machine. The log says
// how long it took.
const backWithin = 60 * time.Second

// The engine is restarted, and killed, with thirty apps under load. While it is away
// there may be errors, but never the page of another app; and all comes back by
// itself.
func TestDockerRestart_NoAppIsServedOnAnothersHost(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	w := m.world()
	apps := appNames(30)
	began := time.Now()
	w.fleet(apps...)
	t.Logf("30 apps pushed in %s", time.Since(began).Round(time.Second))
	a := w.seat(apps...)
	w.eventually(20*time.Second, "all apps answer", func() bool { return a.pleased(3, time.Time{}) })
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		began = time.Now()
		m.stopEngine(signal)
		stopped := time.Since(began)
		m.startEngine()
		answers := time.Since(began)
		w.eventually(backWithin, "all apps answer again", func() bool { return a.pleased(5, began.Add(answers)) })
		r := a.review(began)
		t.Logf("dockerd %v: gone after %s, answers again after %s; %v", signal, stopped.Round(time.Millisecond), answers.Round(time.Millisecond), r)
		require.Empty(t, r.foreign, "another app answered")
		for _, app := range apps {
			require.Len(t, w.containers(app), 1, app)
		}
	}
}
