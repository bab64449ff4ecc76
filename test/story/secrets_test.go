package story_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// needle is a secret that is looked for.
type needle struct {
	text  string
	forms [][]byte // in which it may appear
}

func newNeedle() needle {
	text := "canary" + rand.Text()
	n := needle{text: text, forms: [][]byte{[]byte(text), []byte(hex.EncodeToString([]byte(text))), []byte(url.QueryEscape(text))}}
	for shift := range 3 { // wherever it lies within base64
		encoded := base64.StdEncoding.EncodeToString([]byte("xxx"[:shift] + text))
		n.forms = append(n.forms, []byte(encoded[(shift*4+2)/3+1:len(encoded)-4]))
	}
	return n
}

// in reports whether the secret is in text.
func (n needle) in(text []byte) bool {
	for _, form := range n.forms {
		if bytes.Contains(text, form) {
			return true
		}
	}
	return false
}

// watchProcesses looks at the arguments and the environment of every process of this
// machine until the function that it returns is called, which returns those that have
// the secret. Processes in containers are their own business, and so is pid, whose
// business it is.
func (n needle) watchProcesses(t *testing.T) (stop func() []string) {
	own, err := os.Readlink("/proc/self/ns/pid")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var found []string
	looked := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
			for _, dir := range dirs {
				if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != own {
					continue // it has ended, or is in a container
				}
				for _, file := range []string{"/cmdline", "/environ"} {
					if text, err := os.ReadFile(dir + file); err == nil && n.in(text) { //nolint:gosec // a process that has ended has none
						found = append(found, fmt.Sprintf("%s%s: %q", dir, file, text))
					}
				}
			}
			looked++
		}
	})
	return func() []string {
		cancel()
		wg.Wait()
		require.Positive(t, looked)
		return found
	}
}

// look is what was looked at for the secret.
type look struct {
	what string
	text []byte
}

// everything that octohost and the engine keep or say, but what is inside of the app's
// own containers.
func (w *world) everything(owner string) []look {
	w.t.Helper()
	var all []look
	add := func(what, text string) { all = append(all, look{what, []byte(text)}) }
	require.NoError(w.t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), "src-"):
			return filepath.SkipDir // the test's own
		case d.Type().IsRegular():
			text, err := os.ReadFile(path) //nolint:gosec // of the test
			add(path, string(text))
			return err
		}
		return nil
	}))
	for _, args := range [][]string{
		{"apps"},
		{"ps", "--all"},
		{"releases", owner},
		{"events"},
		{"audit"},
		{"config", owner},
		{"config:history", owner},
		{"keys"},
		{"doctor"},
		{"config:diff", "c0", "-a", owner},
	} {
		out := w.octo(append(args, "--json")...)
		add("octo "+strings.Join(args, " "), out.out+out.err)
	}
	host := "label=octohost.host=" + w.host()
	own := w.containers(owner)
	for _, id := range strings.Fields(w.docker("ps", "-aq", "--filter", host).ok()) {
		labels := w.docker("inspect", "-f", "{{json .Config.Labels}} {{json .Config.Cmd}} {{json .Path}} {{json .Args}} {{.Name}}", id).ok()
		add("labels and arguments of container "+id, labels)
		if !strings.Contains(strings.Join(own, " "), id) {
			add("container of another app "+id, w.docker("inspect", id).ok())
		}
	}
	for _, id := range strings.Fields(w.docker("images", "-aq", "--no-trunc", "--filter", host).ok()) {
		add("image "+id, w.docker("inspect", id).ok()+w.docker("history", "--no-trunc", id).ok()+w.docker("save", id).ok())
	}
	for _, id := range strings.Fields(w.docker("network", "ls", "-q", "--filter", host).ok()) {
		add("network "+id, w.docker("network", "inspect", id).ok())
	}
	return all
}

// nowhere checks that the secret is nowhere in all of that.
func (n needle) nowhere(t *testing.T, all []look) {
	t.Helper()
	require.Greater(t, len(all), 15)
	for _, l := range all {
		if n.in(l.text) {
			t.Errorf("the secret is in %s", l.what)
		}
	}
}

// A value goes from standard input to the app, and shows nowhere on the way: not in the
// store, logs, events, errors, arguments, labels, images, and not to other apps.
func TestSecrets_AreNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := newNeedle()
	for i := range 6 {
		require.True(t, secret.in([]byte(base64.StdEncoding.EncodeToString([]byte("before"[:i]+secret.text+"after")))))
	}
	watched := secret.watchProcesses(t)
	r := w.repo("hello")
	w.repo("other").deploy("v1")
	w.octo("apps:create", "hello").ok()
	w.feed(secret.text, "config:set", "SECRET=-", "-a", "hello").ok()
	r.deploy("v1")
	got, _ := w.variable("hello", "SECRET")
	require.Equal(t, secret.text, got)
	require.True(t, secret.in([]byte(w.docker("inspect", w.containers("hello")[0]).ok())), "who looks for it finds it, where it is")

	// Changed, rolled out, rolled back, failed; over ssh; as a file.
	host, port, _ := strings.Cut(w.ssh, ":")
	ssh := append(w.sshOptions("key"), "-p", port, "octo@"+host)
	w.commandIn(w.dir, "AGAIN='"+secret.text+"'\n", append(ssh, "config:import", "-", "-a", "hello")...).ok()
	w.commandIn(w.dir, secret.text+"\x00", append(ssh, "config:set", "BINARY=-", "-a", "hello")...).ok()
	_, text := w.fileOf("hello", "/run/octohost/config/BINARY")
	require.Equal(t, secret.text+"\x00", text)
	w.octo("rollback", "v1", "-a", "hello").ok()
	w.octo("config:set", "EXIT_CODE=3", "-a", "hello").fails()
	w.kill(syscall.SIGKILL)
	w.start()

	// What is wrong is said without what it was.
	for _, out := range []result{
		w.feed(`{"A":`+secret.text+`}`, "config:import", "-", "-a", "hello"),
		w.feed("A='"+secret.text, "config:import", "-", "-a", "hello"),
		w.feed("PORT="+secret.text, "config:import", "-", "-a", "hello"),
		w.feed(secret.text+strings.Repeat("x", 400<<10), "config:set", "A=-", "-a", "hello"),
		w.feed(secret.text, "config:set", "A=-", "-a", "missing"),
		w.commandIn(w.dir, secret.text, append(ssh, "config:set", "OCTOHOST_A=-", "-a", "hello")...),
	} {
		require.NotZero(t, out.code, out.args)
		require.False(t, secret.in([]byte(out.out+out.err)), "%v: %s", out.args, out.err)
	}
	w.as("bob")
	w.octo("access:add", "bob", "viewer", "-a", "hello").ok()
	for _, line := range []string{"config hello --reveal", "config:get SECRET -a hello", "config:export hello", "config:diff c0 -a hello --reveal"} {
		out := w.sshAs("bob", line)
		require.Equal(t, 4, out.code, line)
		require.False(t, secret.in([]byte(out.out+out.err)), line)
	}
	require.Contains(t, w.sshAs("bob", "config hello").ok(), "SECRET")
	require.Empty(t, watched())
	secret.nowhere(t, w.everything("hello"))
}

// A build secret is there while a step runs, and in no image, layer or cache of others.
func TestSecrets_OfBuilds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	buildSecrets(t, w)
}

func buildSecrets(t *testing.T, w *world) {
	secret := newNeedle()
	r := w.repo("hello")
	dockerfile := "FROM scratch\nCOPY testapp /testapp\nCOPY version.txt /\n" +
		`RUN --mount=type=secret,id=TOKEN ["/testapp", "sum", "/run/secrets/TOKEN"]` + "\nEXPOSE 5000\nCMD [\"/testapp\"]\n"
	r.write("octohost.toml", "[build]\nsecrets = [\"TOKEN\"]\n")
	r.write("Dockerfile", dockerfile)
	r.commit("v1")
	out := r.push()
	out.fails()
	out.says(" !     octohost.toml names the build secret TOKEN, which is not set", "       octo config:set TOKEN=- -a hello --no-restart < FILE; then push again")
	watched := secret.watchProcesses(t)
	w.feed(secret.text, "config:set", "TOKEN=-", "-a", "hello").ok()
	out = r.push()
	out.ok()
	require.Contains(t, out.err, fmt.Sprintf("%x", sha256.Sum256([]byte(secret.text))))
	require.Empty(t, watched())

	// The same repository under another name has to bring a token of its own.
	other := w.repo("other")
	other.write("octohost.toml", "[build]\nsecrets = [\"TOKEN\"]\n")
	other.write("Dockerfile", dockerfile)
	other.commit("v1")
	w.octo("apps:create", "other").ok()
	w.feed("another", "config:set", "TOKEN=-", "-a", "other").ok()
	out = other.push()
	out.ok()
	require.Contains(t, out.err, fmt.Sprintf("%x", sha256.Sum256([]byte("another"))), "the step runs, with its token")
	secret.nowhere(t, w.everything("hello"))
}
