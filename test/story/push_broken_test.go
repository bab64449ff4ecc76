package story_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// rawPush is what a git client sends for a push of main, after the server's list.
func (r *repo) rawPush() []byte {
	r.w.t.Helper()
	old := strings.Fields(r.git("ls-remote", "octo", "refs/heads/main").ok())[0]
	tip := strings.TrimSpace(r.git("rev-parse", "HEAD").ok())
	command := fmt.Sprintf("%s %s refs/heads/main\x00 report-status", old, tip)
	pack := r.w.commandIn(r.dir, tip+"\n^"+old+"\n", "git", "pack-objects", "-q", "--revs", "--stdout").ok()
	return []byte(fmt.Sprintf("%04x%s0000", len(command)+4, command) + pack)
}

// receive speaks to the server as git push does.
func (r *repo) receive(stdin io.Reader) *running {
	args := append(r.w.sshOptions("key"), "-p", strings.Split(r.w.ssh, ":")[1], "octo@127.0.0.1", "git-receive-pack '/"+r.app+"'")
	return r.w.begin(r.dir, stdin, args...)
}

// unfinished lists what pushes have left that are not over.
func (r *repo) unfinished() []string {
	r.w.t.Helper()
	var left []string
	for _, pattern := range []string{"objects/tmp_*", "objects/incoming-*", "objects/pack/tmp_*", "objects/pack/.tmp*"} {
		found, err := filepath.Glob(filepath.Join(r.w.path("data/git"), r.app+".git", pattern))
		require.NoError(r.w.t, err)
		left = append(left, found...)
	}
	return left
}

// bulk puts a file into the repository that cannot be compressed.
func (r *repo) bulk(size int) {
	r.w.t.Helper()
	noise := make([]byte, size)
	_, _ = rand.Read(noise) // never fails, by crypto/rand
	r.write("bulk", string(noise))
}

// A client that goes away in the middle of its push leaves nothing, and is in nobody's way.
func TestBrokenPush_ClientLeavesInMidPack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.bulk(4 << 20)
	r.commit("v2")
	raw := r.rawPush()
	for _, leave := range []string{"killed", "hangs up"} {
		in, feed := io.Pipe()
		push := r.receive(in)
		_, err := feed.Write(raw[:len(raw)/2])
		require.NoError(t, err)
		w.eventually(20*time.Second, "half of the pack arrives", func() bool { return len(r.unfinished()) > 0 })
		if leave == "killed" {
			push.signal(syscall.SIGKILL)
		}
		require.NoError(t, feed.Close())
		push.end()
		w.eventually(20*time.Second, "nothing of the push is left", func() bool { return len(r.unfinished()) == 0 })
		r.stillServes("v1")
	}
	r.deploy("v3")
}

// From "Releasing" on, and before too, a deploy goes on without the one who pushed.
func TestBrokenPush_ClientLeavesInMidDeploy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ app, at string }{
		{"building", "-----> Building building from Dockerfile"},
		{"releasing", "-----> Releasing v2 (it goes on by itself from here, also if you disconnect)"},
	} {
		t.Run(c.app, func(t *testing.T) {
			t.Parallel()
			r := w.with(t).repo(c.app)
			r.deploy("v1")
			r.write("Dockerfile", strings.Replace(hello("START_DELAY=1s"), "EXPOSE", "RUN [\"/testapp\", \"sleep\", \"1s\"]\nEXPOSE", 1))
			r.commit("v2")
			push := r.begin()
			push.until(c.at)
			push.kill()
			r.w.eventually(30*time.Second, "v2 is live", func() bool {
				_, body := r.w.get(c.app+".localhost", "/")
				return strings.TrimSpace(body) == "v2"
			})
			tip := strings.TrimSpace(r.git("rev-parse", "HEAD").ok())
			r.w.eventually(10*time.Second, "the branch is where the deploy is", func() bool {
				return strings.HasPrefix(r.git("ls-remote", "octo", "refs/heads/main").out, tip)
			})
			r.write("Dockerfile", hello())
			r.deploy("v3")
		})
	}
}

// Ctrl-C in a push says nothing worse than to be gone.
func TestBrokenPush_Interrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "START_DELAY=1s")
	push := r.begin()
	push.until("Starting web.1")
	push.signal(syscall.SIGINT)
	require.NotZero(t, push.end().code)
	w.eventually(30*time.Second, "it is live", func() bool {
		status, _ := w.get("hello.localhost", "/")
		return status == http.StatusOK
	})
}

// Objects that are damaged, or not what git wants them to be, get no further than
// the door.
func TestBrokenPush_CorruptObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.bulk(1 << 20)
	r.commit("v2")
	raw := r.rawPush()
	raw[len(raw)/2] ^= 0xff
	out := r.receive(bytes.NewReader(raw)).end()
	require.Contains(t, out.out, "ng refs/heads/main unpacker error") // git push makes [remote rejected] of it
	require.Contains(t, out.out, " !     Git has refused this push, so nothing was deployed.")
	out.says("       If an object is corrupt or missing, check your repository with: git fsck --full")
	r.stillServes("v1")
	require.Empty(t, r.unfinished())

	tree := strings.TrimSpace(r.git("rev-parse", "HEAD^{tree}").ok())
	bad := strings.TrimSpace(w.commandIn(r.dir, "tree "+tree+"\nauthor nobody\ncommitter nobody\n\nno date\n", "git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin").ok())
	out = r.git("push", "--force", "octo", bad+":refs/heads/main")
	out.fails()
	require.Contains(t, out.err, "fsck error in packed object")
	out.says(" !     Git has refused this push, so nothing was deployed.")
	require.Contains(t, out.err, "[remote rejected]")
	r.stillServes("v1")
	r.deploy("v3")
}

func TestBrokenPush_TooLarge(t *testing.T) {
	t.Parallel()
	w := stillWorld(t)
	require.NoError(t, os.WriteFile(w.config(), []byte("[git]\nmax_push = \"16MiB\"\n"), 0o600))
	w.start()
	r := w.repo("hello")
	r.deploy("v1")
	r.bulk(24 << 20)
	r.commit("v2")
	out := r.push()
	out.fails()
	out.says(" !     this push is larger than 16.0 MiB",
		"       keep large files out of git (build results, media, data: also out of its history), or raise max_push on the server")
	r.stillServes("v1")
	require.Empty(t, r.unfinished())
	r.git("reset", "-q", "--hard", "HEAD~1").ok()
	r.deploy("v2")
}

func TestBrokenPush_DiskIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	w.kill(syscall.SIGTERM)
	w.start("OCTO_DISK_FLOOR=100TiB")
	r.commit("v2")
	out := r.push()
	out.fails()
	require.Regexp(t, `(?m)^ !     only [0-9.]+ [GT]iB are free on the disk of \S+, less than the floor of 100\.0 TiB$`, plain(out.err))
	out.says("       an admin makes room there: octo gc --all, octo apps:destroy, docker system prune; or lowers disk_floor in octo.toml")
	require.NotContains(t, out.err, "Building")
	r.stillServes("v1")
	doctor := w.octo("doctor")
	require.Equal(t, 1, doctor.code)
	require.Regexp(t, `(?m)^✗ disk +only [0-9.]+ [GT]iB free on the disk of \S+: pushes are refused below 100\.0 TiB$`, doctor.out)
}

// One push of an app at a time: the second is told where it stands, and both are
// deployed, in their order.
func TestPushQueue_SecondPushWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.write("Dockerfile", hello("START_DELAY=2s"))
	r.commit("v2")
	first := r.begin()
	first.until("-----> Building hello")
	r.commit("v3")
	second, third := r.begin(), r.begin()
	second.until("of hello is ahead")
	third.until("of hello")
	first.end().ok()
	a, b := second.end(), third.end()
	require.Contains(t, a.out+b.out, "-----> Waiting: 1 push of hello is ahead")
	require.Contains(t, a.out+b.out, "-----> Waiting: 2 pushes of hello are ahead")
	require.True(t, a.code == 0 || b.code == 0, "%s\n%s", a.out, b.out)
	r.stillServes("v3")
	var releases []octo.Release
	w.json(&releases, "releases", "-a", "hello")
	for _, release := range releases {
		require.Equal(t, octo.Live, release.Outcome, release.Version())
	}
}

// Who waits and goes away makes room for those behind.
func TestPushQueue_WaitingClientLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello", "START_DELAY=3s")
	first := r.begin()
	first.until("Starting web.1")
	r.commit("v2")
	second := r.begin()
	second.until("-----> Waiting: 1 push of hello is ahead")
	second.kill()
	r.write("Dockerfile", hello())
	r.commit("v3")
	third := r.begin()
	third.until("-----> Waiting: 1 push of hello is ahead")
	first.end().ok()
	third.end().ok()
	r.stillServes("v3")
	var releases []octo.Release
	w.json(&releases, "releases", "-a", "hello")
	require.Len(t, releases, 2, "what nobody waited for was not deployed")
}

// Apps do not wait for each other.
func TestPushQueue_OtherAppsInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := w.repo("slow", "START_DELAY=6s").begin()
	slow.until("Starting web.1")
	w.repo("quick").deploy("v1")
	require.False(t, slow.ended(), "the slow push was over before the quick one")
	slow.end().ok()
}
