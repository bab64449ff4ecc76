package story_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A repository that was made for Heroku or Dokku deploys as it is, once it has what it
// asks for.
func TestAppJSON_HerokuRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("shop")
	r.write("Procfile", "web: /testapp\nworker: /testapp sleep 1h\nrelease: /testapp env GREETING SECRET_KEY_BASE\n")
	r.write("app.json", `{
  "name": "Shop", "stack": "heroku-24", "buildpacks": [{"url": "heroku/nodejs"}], "addons": ["heroku-postgresql"],
  "formation": {"web": {"quantity": 2, "size": "basic"}, "worker": {"quantity": 1, "max_parallel": 2}},
  "env": {"GREETING": "hello", "SECRET_KEY_BASE": {"generator": "secret"}, "DATABASE_URL": {"description": "where it is"}, "OTHER": {"required": false}},
  "scripts": {"postdeploy": "/testapp say seeded", "dokku": {"predeploy": "/testapp say before", "postdeploy": "/testapp say after"}},
  "healthchecks": {"web": [{"type": "startup", "path": "/health", "attempts": 9}]}
}`)
	r.commit("v1")
	refused := r.push()
	refused.fails()
	require.Contains(t, refused.err, "app.json asks for DATABASE_URL, which nobody has set")
	require.NotContains(t, refused.err, "Building", "it is said before the build")
	w.octo("config:set", "DATABASE_URL=postgres://x", "-a", "shop").ok()

	out := r.deploy("v1")
	for i, want := range []string{
		"app.json: size in formation is not known here: ignored.", "app.json: addons is not known here: ignored.",
		"Running dokku.predeploy: /testapp say before", "Running release: /testapp env GREETING SECRET_KEY_BASE", "GREETING=hello",
		"Running postdeploy: /testapp say seeded", "Running dokku.postdeploy: /testapp say after", "shop v1 live at",
	} {
		at := strings.Index(out, want)
		require.GreaterOrEqual(t, at, 0, want)
		if i > 1 {
			out = out[at:] // they come in this order
		}
	}
	shop := w.processes("shop")
	require.Equal(t, []int{2, 1}, []int{shop["web"].Healthy, shop["worker"].Healthy})
	require.Equal(t, "/health", shop["web"].Check.Path)
	secret := w.octo("config:get", "SECRET_KEY_BASE", "-a", "shop").ok()
	require.Len(t, secret, 64)
	_, env := w.get("shop.localhost", "/env")
	require.Contains(t, env, "SECRET_KEY_BASE="+secret)

	again := r.deploy("v2")
	require.NotContains(t, again, "seeded", "that is for the first time only")
	require.Equal(t, secret, w.octo("config:get", "SECRET_KEY_BASE", "-a", "shop").ok(), "made once")
	require.NotContains(t, w.octo("ps:scale", "web=3", "-a", "shop").err, "Running", "it is the same code")

	r.write("Procfile", "web: /testapp\nworker: /testapp sleep 1h\nrelease: /testapp exit 7\n")
	r.commit("v3")
	require.Contains(t, r.push().fails(), "release ended with exit code 7, so nothing is released")
	_, body := w.get("shop.localhost", "/")
	require.Equal(t, "v2", strings.TrimSpace(body))
	r.write("app.json", "{\"formation\": {\"web\": {\"quantity\": \"2\"}}}")
	r.commit("v3")
	require.Contains(t, r.push().fails(), "app.json: formation.web.quantity must be a whole number")
	w.eventually(40*time.Second, "three web and a worker", func() bool { return len(w.containers("shop")) == 4 })
}
