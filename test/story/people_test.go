package story_test

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// Before anybody is admitted there is no open door. The first key is an admin's.
func TestPeople_FirstStart(t *testing.T) {
	t.Parallel()
	w := stillWorld(t)
	w.admit = ""
	w.launch()
	w.eventually(30*time.Second, "octo serve answers", func() bool { return w.octo("apps").code == 0 })
	w.eventually(10*time.Second, "the log says how to go on", func() bool {
		return strings.Contains(w.log(), "the SSH port opens with the first key; add it with: octo keys:add ~/.ssh/id_ed25519.pub")
	})
	_, err := net.Dial("tcp", w.ssh)
	require.ErrorContains(t, err, "connection refused")
	doctor := w.octo("doctor")
	require.Equal(t, 1, doctor.code)
	doctor.says("✗ ssh port   nobody answers on "+w.ssh, "             → it opens when the first key is added: octo keys:add ~/.ssh/id_ed25519.pub")

	out := w.octo("keys:add", w.path("key.pub"))
	out.ok()
	require.Regexp(t, `^admitted ann, an admin \(SHA256:[A-Za-z0-9+/]{43}\)\n$`, out.out)
	w.eventually(10*time.Second, "the SSH door opens", func() bool { return w.ssher("version").code == 0 })
	w.repo("hello").deploy("v1")

	bob := w.as("bob") // the second one is not
	require.Contains(t, bob.sshAs("bob", "version").ok(), "(you are bob)")
	require.Contains(t, w.ssher("version").ok(), "(you are ann, an admin)")
	require.FileExists(t, w.path("data/ssh_host_ed25519_key"))
	info, err := os.Stat(w.path("data/octo.sock"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o007, "the socket is not for everybody")
}

func TestPeople_KeysThatOpenNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	w.newKey("mallory")
	mallory := *r
	mallory.w = w.with(t, "GIT_SSH_COMMAND="+strings.Join(w.sshOptions("mallory"), " "))
	out := mallory.push()
	require.Equal(t, 128, out.code)
	require.Contains(t, out.err, "octo@127.0.0.1: Permission denied (publickey).")
	require.Equal(t, 255, w.sshAs("mallory", "apps").code)

	host, port, err := net.SplitHostPort(w.ssh)
	require.NoError(t, err)
	root := w.command(append(w.sshOptions("key"), "-p", port, "root@"+host, "apps")...) // the right key, another name
	require.Equal(t, 255, root.code)
	require.Contains(t, root.err, "Permission denied (publickey).")
	password := w.command("ssh", "-F", "/dev/null", "-o", "PubkeyAuthentication=no", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile="+w.path("known_hosts"), "-p", port, "octo@"+host, "apps")
	require.Equal(t, 255, password.code)
	tunnel := w.command(append(w.sshOptions("key"), "-p", port, "-W", "127.0.0.1:22", "octo@"+host)...)
	require.NotZero(t, tunnel.code)
	require.Contains(t, tunnel.err, "stdio forwarding failed")
	require.NotZero(t, w.command(append(w.sshOptions("key"), "-p", port, "-s", "octo@"+host, "sftp")...).code)
	r.stillServes("v1")
}

// A key that was taken away opens nothing more, not even on a connection that is
// still open.
func TestPeople_RemovedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.as("bob")
	r := bob.repo("bobs")
	r.deploy("v1")
	_, port, _ := strings.Cut(w.ssh, ":")
	shared := append(w.sshOptions("bob"), "-o", "ControlPath="+w.path("control"), "-p", port, "octo@127.0.0.1")
	master := w.begin(w.dir, nil, append([]string{shared[0], "-M", "-N"}, shared[1:]...)...)
	w.eventually(10*time.Second, "a connection stays open", func() bool {
		return w.command(append(shared[:len(shared)-1:len(shared)-1], "-O", "check", "octo@127.0.0.1")...).code == 0
	})
	w.command(append(shared, "apps")...).ok()

	var keys []octo.Key
	w.json(&keys, "keys")
	require.Len(t, keys, 2)
	prints := map[string]string{}
	for _, k := range keys {
		prints[k.User] = k.Fingerprint
	}
	last := w.octo("keys:remove", prints["ann"])
	require.Equal(t, 1, last.code)
	last.says("error: this is the last key of an admin", "hint:  add another first: octo keys:add --admin FILE")
	w.octo("keys:remove", prints["bob"]).ok()
	require.NotZero(t, master.end().code, "the connection is closed")
	require.Equal(t, 255, w.command(append(shared, "apps")...).code)
	r.commit("v2")
	out := r.push()
	require.Equal(t, 128, out.code)
	require.Contains(t, out.err, "Permission denied (publickey).")
	r.with(w).stillServes("v1")
}

// What belongs to somebody else does not exist, and cannot be taken.
func TestPeople_OthersApps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	bob := w.as("bob")
	mine := r.with(bob)
	mine.commit("bobs")
	out := mine.push()
	require.Equal(t, 128, out.code)
	out.says(" !     the name hello is taken", "       choose another name")
	r.stillServes("v1")

	for _, command := range []string{
		"apps:info hello", "logs -a hello", "ps hello", "releases -a hello", "releases:info v1 -a hello", "events hello", "open hello",
		"rollback v1 -a hello", "apps:destroy hello --confirm hello", "apps:info nothing", "logs -a nothing",
	} {
		app := "hello"
		if strings.Contains(command, "nothing") {
			app = "nothing"
		}
		out := w.sshAs("bob", command)
		require.Equal(t, 3, out.code, command)
		out.says("error: no app named "+app, "hint:  list yours with: octo apps")
		require.Empty(t, out.out, command)
	}
	clone := bob.command("git", "clone", "-q", w.gitURL("hello"), w.path("stolen"))
	require.Equal(t, 128, clone.code)
	clone.says(" !     no app named hello")

	for command, empty := range map[string]string{"apps --json": "[]", "ps --json": "[]", "events --json": ""} {
		require.Equal(t, empty, strings.TrimSpace(w.sshAs("bob", command).ok()), command)
	}
	require.NotContains(t, w.sshAs("bob", "keys").ok(), "ann", "he sees his own key only")
	require.Equal(t, 3, w.sshAs("bob", "keys:remove SHA256:"+strings.Repeat("x", 43)).code)
	for _, command := range []string{"users", "doctor"} {
		out := w.sshAs("bob", command)
		require.Equal(t, 4, out.code, command)
		out.says("error: bob may not do this (admin)", "hint:  ask an admin of this octohost")
	}
	add := w.commandIn(w.dir, "ssh-ed25519 AAAA bob@story\n", append(append(w.sshOptions("bob"), "-p", w.sshPort(), "octo@127.0.0.1"), "keys:add", "-", "--admin")...)
	require.Equal(t, 4, add.code)

	bobs := bob.repo("bobs") // what is his own, he may use; an admin sees all
	bobs.deploy("v1")
	var apps []octo.AppStatus
	require.NoError(t, json.Unmarshal([]byte(w.sshAs("bob", "apps", "--json").ok()), &apps))
	require.Len(t, apps, 1)
	w.json(&apps, "apps")
	require.Len(t, apps, 2)
	w.sshAs("bob", "apps:destroy bobs --confirm bobs").ok()
	r.stillServes("v1")
}

func (w *world) sshPort() string {
	_, port, _ := strings.Cut(w.ssh, ":")
	return port
}

// with returns the repository in the hands of somebody else.
func (r *repo) with(w *world) *repo {
	c := *r
	c.w = w
	return &c
}
