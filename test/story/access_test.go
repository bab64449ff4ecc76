package story_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// Several people work on one app, each as far as they may.
func TestAccess_Roles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.as("anna")
	r := ann.repo("shop")
	r.deploy("v1")
	bob, carol := w.as("bob"), w.as("carol")
	require.Equal(t, "bob is a deployer of shop\n", w.sshAs("anna", "access:add bob deployer -a shop").ok())
	w.sshAs("anna", "access add carol viewer -a shop").ok()
	out := w.sshAs("anna", "access:add dora viewer -a shop")
	out.ok()
	require.Contains(t, out.err, "warning: dora has no key yet")

	r.with(bob).deploy("v2")
	r.stillServes("v2")
	out = w.sshAs("bob", "access:add eve viewer -a shop")
	require.Equal(t, 4, out.code)
	out.says("error: bob is a deployer of shop, and this needs an owner", "hint:  ask its owner, anna: octo access:add bob owner -a shop")

	require.Contains(t, w.sshAs("carol", "releases -a shop").ok(), "Deploy")
	carol.command("git", "clone", "-q", w.gitURL("shop"), w.path("looked-at")).ok()
	theirs := r.with(carol)
	theirs.commit("v3")
	out = theirs.push()
	require.Equal(t, 128, out.code)
	out.says(" !     carol is a viewer of shop, and this needs a deployer")

	w.sshAs("anna", "access:transfer bob -a shop").ok()
	require.Equal(t, 4, w.sshAs("anna", "apps:destroy shop --confirm shop").code)
	w.sshAs("bob", "access:remove anna -a shop").ok()
	require.Equal(t, 3, w.sshAs("anna", "apps:info shop").code)
	w.octo("keys:remove", "--user", "bob").ok()
	require.Regexp(t, `(?m)^bob +- +0 +shop +-$`, w.octo("users").ok(), "an admin sees what is left of him")
	r.stillServes("v2")
}

// A machine deploys with a key that opens nothing else, and goes with the app.
func TestAccess_DeployKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	anna := w.as("anna")
	r := anna.repo("shop")
	r.deploy("v1")
	w.octo("apps:create", "other").ok()
	w.newKey("ci")
	public, err := os.ReadFile(w.path("ci.pub"))
	require.NoError(t, err)
	over := append(append(w.sshOptions("anna"), "-p", w.sshPort(), "octo@127.0.0.1"), "keys:add", "-", "-a", "shop", "--expires", "1h")
	require.Contains(t, w.commandIn(w.dir, string(public), over...).ok(), "admitted shop/ci, to deploy shop, until ")

	ci := r.with(w.with(t, "GIT_SSH_COMMAND="+strings.Join(w.sshOptions("ci"), " ")))
	ci.deploy("v2")
	r.stillServes("v2")
	var releases []octo.Release
	w.json(&releases, "releases", "shop")
	require.Equal(t, "shop/ci", releases[0].Author)
	w.sshAs("ci", "logs -a shop").ok()
	require.Equal(t, 3, w.sshAs("ci", "apps:info other").code)
	for _, line := range []string{"apps:create mine", "access:add eve owner -a shop", "apps:destroy shop --confirm shop", "keys -a shop"} {
		out := w.sshAs("ci", line)
		require.Equal(t, 4, out.code, line)
		out.says("error: a deploy key may only push to shop and look at it")
	}
	mine := ci.w.command("git", "push", "-q", w.gitURL("mine"), "main")
	require.NotZero(t, mine.code)

	w.octo("apps:destroy", "shop", "--confirm", "shop").ok()
	w.as("mallory")
	w.sshAs("mallory", "apps:create shop").ok()
	require.Equal(t, 255, w.sshAs("ci", "apps:info shop").code, "the next app of that name is not opened by it")
}

// Somebody whose key has expired is told so.
func TestAccess_ExpiredKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newKey("bob")
	w.octo("keys:add", w.path("bob.pub"), "--expires", "3s").ok()
	require.Contains(t, w.sshAs("bob", "whoami").ok(), "bob, a user, by the key SHA256:")
	bob := append(w.sshOptions("bob"), "-p", w.sshPort(), "octo@127.0.0.1", "whoami")
	bob[slices.Index(bob, "LogLevel=ERROR")] = "LogLevel=INFO" // as ssh is for people
	w.eventually(30*time.Second, "he is told why he does not get in", func() bool {
		out := w.command(bob...)
		return out.code == 255 && strings.Contains(out.err, "octohost: your key expired on ")
	})
	require.Contains(t, w.octo("keys").ok(), "expired")
}

// canary is a secret that must not be anywhere but where it belongs.
const canary = "hunter2-canary"

// Who did what is kept, also when octo is killed, and secrets are not.
func TestAccess_Audit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.as("anna").repo("shop").deploy("v1")
	w.as("bob")
	w.newKey("mallory")
	require.Equal(t, 255, w.sshAs("mallory", "apps").code)
	require.Equal(t, 3, w.sshAs("bob", "apps:info shop").code)
	w.sshAs("anna", "config:set TOKEN="+canary+" -a shop").ok()
	require.Contains(t, w.sshAs("anna", "config:get TOKEN -a shop").ok(), canary)
	require.Equal(t, 3, w.sshAs("bob", "config:get TOKEN -a shop").code)
	w.octo("access:add", "bob", "viewer", "-a", "shop").ok()
	require.NotZero(t, w.sshAs("anna", "config:set 1="+canary+" -a shop").code)
	w.kill(syscall.SIGKILL)
	w.start()

	me, err := user.Current()
	require.NoError(t, err)
	trail := w.octo("audit", "--json", "-n", "1000").ok()
	require.NotContains(t, trail, canary)
	var got []string
	for line := range strings.Lines(trail) {
		var a octo.Audit
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		require.NotEmpty(t, a.From)
		require.Equal(t, a.From == octo.LocalSocket, a.Key == "", line)
		got = append(got, strings.Join([]string{a.User, a.What, string(a.App), string(a.Result)}, " "))
	}
	for _, want := range []string{
		"local octo serve  ok", " ssh login  denied", "anna deploy shop ok", "anna git push shop ok", "bob GET /v1/apps/{app} shop not_found",
		"anna PATCH /v1/apps/{app}/config shop ok", "anna GET /v1/apps/{app}/config/values shop ok",
		"bob GET /v1/apps/{app}/config/values shop not_found", me.Username + " PUT /v1/apps/{app}/access/{user} shop ok",
	} {
		require.Contains(t, got, want)
	}
	owner := w.sshAs("anna", "audit").ok()
	require.Contains(t, owner, "apps/shop/config set=TOKEN")
	require.NotContains(t, owner, "ssh login", "that is the admins' business")
	require.NotContains(t, w.sshAs("bob", "audit").ok(), "TOKEN")
	_, err = exec.Command("grep", "-r", canary, w.path("data")).Output() //nolint:gosec // of the test
	require.Error(t, err, "it is in no file")
}
