package git

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// latch is a deploy that says that it has begun, and waits to be let go.
type latch struct {
	began chan octo.Push
	free  chan error
}

func newLatch() *latch { return &latch{make(chan octo.Push, 10), make(chan error, 10)} }

func (l *latch) deploy(_ context.Context, p octo.Push, out io.Writer) error {
	_, _ = fmt.Fprintf(out, "deploying %s\n", p.App)
	l.began <- p
	err := <-l.free
	_, _ = fmt.Fprintf(out, "deployed %s\n", p.App)
	return err
}

func TestReceivePack_StreamsLive(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	next := make(chan string)
	h.onPush(func(_ context.Context, _ octo.Push, out io.Writer) error {
		for line := range next {
			_, _ = io.WriteString(out, line+"\n")
		}
		return nil
	})
	push := c.start("push", "octo", "main")
	defer push.end()
	for _, line := range []string{"one", "two", "three"} {
		next <- line
		push.see("remote: " + line)
	}
	close(next)
}

func TestReceivePack_KeepsASilentPushAlive(t *testing.T) {
	h := startHost(t, func(r *Repos) {
		f, err := os.OpenFile(filepath.Join(r.home(), ".gitconfig"), os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString("[receive]\n\tkeepAlive = 1\n")
		require.NoError(t, errors.Join(err, f.Close()))
	})
	c := newClone(t, h, "hello")
	h.onPush(func(context.Context, octo.Push, io.Writer) error {
		<-time.After(2500 * time.Millisecond)
		return nil
	})
	require.Contains(t, c.git("push", "octo", "main"), "* [new branch]")
}

func TestReceivePack_OneAtATimePerApp(t *testing.T) {
	h := startHost(t)
	l := newLatch()
	h.onPush(l.deploy)
	a, b, d := newClone(t, h, "hello"), newClone(t, h, "hello"), newClone(t, h, "hello")
	b.commit("b", "b")
	d.commit("d", "d")
	first := a.start("push", "-f", "octo", "main")
	within(t, l.began)
	second := b.start("push", "-f", "octo", "main")
	second.see("-----> Waiting: 1 push of hello is ahead")
	third := d.start("push", "-f", "octo", "main")
	third.see("-----> Waiting: 2 pushes of hello are ahead")
	fourth := d.start("push", "-f", "octo", "main:master")
	fourth.see("-----> Waiting: 3 pushes of hello are ahead")

	other := newClone(t, h, "other").start("push", "octo", "main")
	require.Equal(t, octo.Name("other"), within(t, l.began).App, "another app does not wait")

	second.kill()
	third.see("-----> Waiting: 1 push of hello is ahead")
	l.free <- nil
	l.free <- nil
	within(t, l.began)
	fourth.see("-----> Waiting: 1 push of hello is ahead")
	l.free <- nil
	within(t, l.began)
	l.free <- nil
	for _, push := range []*background{first, third, fourth, other} {
		exit, out := push.end()
		require.Zero(t, exit, out)
	}
	require.Eventually(t, func() bool {
		h.queue.mu.Lock()
		defer h.queue.mu.Unlock()
		return len(h.queue.lines) == 0
	}, patience, time.Millisecond)
}

func TestReceivePack_DropsAPushThatIsCutOff(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	c.git("push", "octo", "main")
	old := c.git("rev-parse", "HEAD")
	pack, head := bigPack(t, c)
	request := pushRequest(old, head, "refs/heads/main", pack[:len(pack)/2])

	_, _, err := receive(t, h, bytes.NewReader(request))

	require.NoError(t, err)
	require.Len(t, h.pushed(), 1)
	require.Equal(t, old, h.ref("hello", "refs/heads/main"))
	require.Equal(t, []string{"info", "pack"}, entries(t, h.dir("hello")+"/objects"), "nothing is left of it")
}

func TestReceivePack_DropsAPushWhoseClientIsKilled(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	pack, head := bigPack(t, c)
	request := pushRequest(strings.Repeat("0", 40), head, "refs/heads/main", pack)
	in, feed := io.Pipe()
	ctx, gone := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := h.ReceivePack(ctx, octo.Identity{User: "alice"}, "hello", "", octo.Stdio{In: in, Out: io.Discard, Err: io.Discard})
		done <- err
	}()
	_, err := feed.Write(request[:len(request)/2])
	require.NoError(t, err)
	gone() // without an end of the input
	require.NoError(t, within(t, done))
	require.NoError(t, feed.Close())
	require.Empty(t, h.pushed())
}

func TestReceivePack_GoesOnWithoutItsClient(t *testing.T) {
	h := startHost(t)
	l := newLatch()
	h.onPush(l.deploy)
	c := newClone(t, h, "hello")
	push := c.start("push", "octo", "main")
	within(t, l.began)
	push.see("remote: deploying")

	push.kill()
	next := c.start("push", "octo", "main")
	next.see("-----> Waiting: 1 push of hello is ahead")
	l.free <- nil

	exit, out := next.end()
	require.Zero(t, exit, out)
	require.Contains(t, out, "Everything up-to-date")
	require.Equal(t, c.git("rev-parse", "HEAD"), h.ref("hello", "refs/heads/main"))
	require.Len(t, h.pushed(), 1)
}

// stuck is a client that takes a little and then no more, until it is released.
type stuck struct {
	room    int
	release chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	if s.room -= len(b); s.room < 0 {
		<-s.release
	}
	return len(b), nil
}

func TestReceivePack_DeploysWhateverTheClientReads(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.limits.finish = 50 * time.Millisecond })
	h.onPush(func(_ context.Context, _ octo.Push, out io.Writer) error {
		line := strings.Repeat("x", 1000) + "\n"
		for range 3 * maxPending / len(line) {
			_, _ = io.WriteString(out, line)
		}
		return nil
	})
	c := newClone(t, h, "hello")
	pack, head := bigPack(t, c)
	client := &stuck{room: 5000, release: make(chan struct{})}
	defer close(client.release)
	in := bytes.NewReader(pushRequest(strings.Repeat("0", 40), head, "refs/heads/main", pack))

	exit, err := h.ReceivePack(t.Context(), octo.Identity{}, "hello", "", octo.Stdio{In: in, Out: client, Err: client})

	require.NoError(t, err)
	require.NotZero(t, exit)
	require.Equal(t, head, h.ref("hello", "refs/heads/main"))
}

func TestReceivePack_RefusesALargePush(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.cfg.MaxPush = 1 << 20 })
	c := newClone(t, h, "hello")
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	c.commit("noise", string(noise))

	out := c.fail("push", "octo", "main")

	require.Contains(t, out, "this push is larger than 1.0 MiB; keep large files out of git")
	require.Empty(t, h.pushed())
	require.Equal(t, []string{"info", "pack"}, entries(t, h.dir("hello")+"/objects"), "nothing is left of it")
}

func TestReceivePack_RefusesDamage(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	pack, head := bigPack(t, c)
	zero := strings.Repeat("0", 40)
	for name, test := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"bad byte":     {func(p []byte) []byte { p[len(p)/2] ^= 0x55; return p }, "unpack index-pack abnormal exit"},
		"bad checksum": {func(p []byte) []byte { p[len(p)-1]++; return p }, "pack is corrupted"},
		"no pack":      {func([]byte) []byte { return []byte(strings.Repeat("garbage", 100)) }, "protocol error (pack signature mismatch detected)"},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := test.change(bytes.Clone(pack))
			_, out, err := receive(t, h, bytes.NewReader(pushRequest(zero, head, "refs/heads/main", damaged)))
			require.NoError(t, err)
			require.Contains(t, out, test.want)
			require.Contains(t, out, "ng refs/heads/main unpacker error")
			require.Contains(t, out, refusedByGit)
		})
	}
	require.Empty(t, h.pushed())
}

func TestReceivePack_RefusesMissingObjects(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	head := c.commit("more", "more")
	empty, err := c.command("pack-objects", "--stdout", "--revs", "-q").Output()
	require.NoError(t, err)

	_, out, err := receive(t, h, bytes.NewReader(pushRequest(strings.Repeat("0", 40), head, "refs/heads/main", empty)))

	require.NoError(t, err)
	require.Contains(t, out, "ng refs/heads/main missing necessary objects")
	require.Contains(t, out, refusedByGit)
	require.Empty(t, h.pushed())
}

func TestReceivePack_RefusesBadObjects(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	blob, err := hex.DecodeString(c.git("rev-parse", "HEAD:Dockerfile"))
	require.NoError(t, err)
	bad := c.command("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	bad.Stdin = strings.NewReader("100644 .git\x00" + string(blob))
	tree, err := bad.Output()
	require.NoError(t, err)
	evil := c.git("commit-tree", "-m", "evil", strings.TrimSpace(string(tree)))

	out := c.fail("push", "octo", evil+":refs/heads/main")

	require.Contains(t, out, "hasDotgit: contains '.git'")
	require.Contains(t, out, refusedByGit)
	require.Empty(t, h.pushed())
}

// A delta that copies its base many times makes a large object out of nothing.
func TestReceivePack_RefusesADeltaWithoutEnd(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.limits.memory = 256 << 20 })
	const base, copies = 0xffffff, 40
	zeros := make([]byte, base)
	blob := fmt.Appendf(nil, "blob %d\x00", base)
	id := sha1.Sum(append(blob, zeros...))
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, base), base*copies)
	delta = append(delta, bytes.Repeat([]byte{0xf0, 0xff, 0xff, 0xff}, copies)...)
	pack := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x02")
	pack = append(objectHead(pack, 3, len(zeros)), deflate(t, zeros)...)
	pack = append(append(objectHead(pack, 7, len(delta)), id[:]...), deflate(t, delta)...)
	sum := sha1.Sum(pack)
	pack = append(pack, sum[:]...)
	require.Less(t, len(pack), 100_000)

	_, out, err := receive(t, h, bytes.NewReader(pushRequest(strings.Repeat("0", 40), strings.Repeat("a", 40), "refs/heads/main", pack)))

	require.NoError(t, err)
	require.Contains(t, out, "Out of memory")
	require.Contains(t, out, "ng refs/heads/main unpacker error")
}

// objectHead appends the head of an object in a pack (gitformat-pack).
func objectHead(b []byte, kind byte, size int) []byte {
	b = append(b, kind<<4|byte(size&0xf))
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&0x7f))
	}
	return b
}

func deflate(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func TestReceivePack_DoesNotWaitForEver(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.limits.idle = 50 * time.Millisecond })
	in, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	_, err := h.ReceivePack(t.Context(), octo.Identity{}, "hello", "", octo.Stdio{In: in, Out: io.Discard, Err: io.Discard})
	require.ErrorIs(t, err, octo.ErrTimeout)
	require.ErrorContains(t, err, "nothing of this push has arrived for 50ms")
}

// receive runs a push that is made by hand.
func receive(t *testing.T, h *host, in io.Reader) (int, string, error) {
	t.Helper()
	out := newLines()
	exit, err := h.ReceivePack(t.Context(), octo.Identity{User: "alice"}, "hello", "", octo.Stdio{In: in, Out: out, Err: out})
	return exit, out.String(), err
}

// bigPack returns a pack of everything in c, and its head.
func bigPack(t *testing.T, c *clone) (pack []byte, head string) {
	t.Helper()
	noise := make([]byte, 300<<10)
	_, _ = rand.Read(noise)
	head = c.commit("noise", string(noise))
	cmd := c.command("pack-objects", "--stdout", "--all", "-q")
	cmd.Stdin = strings.NewReader("")
	pack, err := cmd.Output()
	require.NoError(t, err)
	return pack, head
}

// pushRequest is what git sends for a push of one ref.
func pushRequest(old, id, ref string, pack []byte) []byte {
	b := appendPkt(nil, old, " ", id, " ", ref, "\x00report-status side-band-64k")
	return append(appendFlush(b), pack...)
}
