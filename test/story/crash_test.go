package story_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// failpoints are the places of a rollout at which the daemon may die.
var failpoints = []string{
	"deploy-before-commit", "deploy-after-commit",
	"control-before-want", "control-before-routes", "control-after-routes", "control-before-verdict", "control-between-verdicts",
	"node-before-start", "node-after-start", "node-before-report-healthy", "node-before-drain", "node-before-stop", "node-before-remove",
	"store-before-commit:3", "store-after-commit:3", "store-before-commit:6", "store-after-commit:6",
}

// The daemon is killed at every step of a rollout. When it is back, with no help,
// the old or the new release serves, and the next push works.
func TestCrash_AtEveryStepOfARollout(t *testing.T) {
	for _, point := range failpoints {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.repo("hello")
			r.deploy("v1")
			w.kill(syscall.SIGTERM)
			w.start("OCTO_FAILPOINT=" + point)
			r.commit("v2")
			r.push() // its end says nothing: the daemon may die after the last word
			w.eventually(30*time.Second, "the daemon dies", func() bool {
				select {
				case <-w.daemon.done:
					return true
				default:
					return false
				}
			})
			w.start()
			var body string
			w.eventually(30*time.Second, "the site serves", func() bool {
				var status int
				status, body = w.get("hello.localhost", "/")
				return status == http.StatusOK
			})
			require.Contains(t, []string{"v1", "v2"}, strings.TrimSpace(body))
			w.eventually(60*time.Second, "the rollout comes to its end", func() bool {
				var app octo.AppStatus
				w.json(&app, "apps:info", "hello")
				return app.State == octo.StateUp && len(w.containers("hello")) == 1
			})
			r.deploy("v3")
		})
	}
}

func TestCrash_KilledDaemonIsBackWithEverything(t *testing.T) {
	w := newWorld(t)
	for _, app := range []string{"one", "two"} {
		w.repo(app).deploy(app)
	}
	before := w.containers("one")
	w.kill(syscall.SIGKILL)
	w.start()
	for _, app := range []string{"one", "two"} {
		status, body := w.get(app+".localhost", "/")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, app, strings.TrimSpace(body))
	}
	require.Equal(t, before, w.containers("one"), "the containers did not notice")
}
