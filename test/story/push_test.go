package story_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestPush_GoesLiveAndIsReplaced(t *testing.T) {
	w := newWorld(t)
	r := w.repo("hello")
	out := r.push()
	out.ok()
	require.Contains(t, out.err, "-----> Creating app hello")
	require.Contains(t, out.err, "-----> Building hello from Dockerfile")
	require.Contains(t, out.err, "-----> Releasing v1")
	require.Contains(t, out.err, "=====> hello v1 live at http://hello.localhost:")
	status, body := w.get("hello.localhost", "/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "v1")

	r.deploy("two")
	var apps []octo.AppStatus
	w.json(&apps, "apps")
	require.Len(t, apps, 1)
	require.Equal(t, octo.StateUp, apps[0].State)
	require.Equal(t, 2, apps[0].Live)
}
