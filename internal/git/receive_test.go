package git

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestReceivePack_DeploysMain(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	h.onPush(func(_ context.Context, p octo.Push, out io.Writer) error {
		_, err := fmt.Fprintf(out, "-----> Building %s\n=====> live\n", p.App)
		return err
	})
	head := c.git("rev-parse", "HEAD")

	out := c.git("push", "octo", "main")

	require.Contains(t, out, "remote: -----> Building hello")
	require.Contains(t, out, "remote: =====> live")
	require.Contains(t, out, "* [new branch]      main -> main")
	require.Equal(t, []octo.Push{{App: "hello", Branch: "main", Old: strings.Repeat("0", 40), New: head, User: "alice", Who: octo.Identity{User: "alice"}}}, h.pushed())
	require.Equal(t, head, h.ref("hello", "refs/heads/main"))

	require.Contains(t, c.git("push", "octo", "main"), "Everything up-to-date")
	require.Len(t, h.pushed(), 1, "what is deployed is not deployed again")

	next := c.commit("more", "more")
	require.Contains(t, c.git("push", "octo", "main"), head[:7]+".."+next[:7])
	require.Equal(t, head, h.pushed()[1].Old)
	require.Equal(t, next, h.pushed()[1].New)
}

func TestReceivePack_RejectsWhenDeployFails(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	c.git("push", "octo", "main")
	before := h.ref("hello", "refs/heads/main")
	h.onPush(func(_ context.Context, _ octo.Push, out io.Writer) error {
		_, _ = io.WriteString(out, "COPY failed\n")
		return octo.Errorf(octo.ErrInvalid, "the build failed\nin step 3").WithHint("mend it")
	})
	next := c.commit("more", "more")

	out := c.fail("push", "octo", "main")

	require.Contains(t, out, "remote: COPY failed")
	require.Contains(t, out, "! [remote rejected] main -> main (deploy failed: the build failed)")
	require.Equal(t, before, h.ref("hello", "refs/heads/main"))

	h.onPush(nil)
	c.git("push", "octo", "main") // the same commit once more
	require.Equal(t, next, h.ref("hello", "refs/heads/main"))
}

func TestReceivePack_RefusesWhatDoesNotDeploy(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	c.git("push", "octo", "main")
	c.commit("more", "more")
	c.git("tag", "v1")
	c.git("tag", "-a", "-m", "annotated", "v2")
	for _, test := range []struct{ ref, want string }{
		{"HEAD:dev", "! [remote rejected] HEAD -> dev (only main or master deploys; to deploy this commit: git push octo HEAD:main)"},
		{"HEAD:refs/heads/main2", "(only main or master deploys; to deploy this commit: git push octo HEAD:main)"},
		{"v1", "! [remote rejected] v1 -> v1 (tags do not deploy; push the commit: git push octo HEAD:main)"},
		{"v2", "(tags do not deploy; push the commit: git push octo HEAD:main)"},
		{"HEAD:refs/for/main", "(only branches deploy; push the commit: git push octo HEAD:main)"},
		{"HEAD:refs/octo/releases/v1", "! [remote rejected] HEAD -> refs/octo/releases/v1 (deny updating a hidden ref)"},
		{":main", "! [remote rejected] main (branches cannot be deleted here; to remove the app: octo apps:destroy)"},
		{"+HEAD^{tree}:refs/heads/main", "(deploy failed: what was pushed is not a commit)"},
		{"+v2:refs/heads/main", "(deploy failed: what was pushed is not a commit)"},
	} {
		t.Run(test.ref, func(t *testing.T) {
			require.Contains(t, c.fail("push", "octo", test.ref), test.want)
		})
	}
	require.Len(t, h.pushed(), 1)
	refs, err := h.output(context.Background(), "hello", "for-each-ref")
	require.NoError(t, err)
	require.Len(t, strings.Fields(string(refs)), 3, "only main: %s", refs)
}

func TestReceivePack_DeploysTheBranchAmongOthers(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	c.git("tag", "v1")

	out := c.fail("push", "octo", "main", "main:dev", "v1", "main:master")

	require.Contains(t, out, "* [new branch]      main -> main")
	require.Contains(t, out, "! [remote rejected] main -> dev (only main or master deploys")
	require.Contains(t, out, "! [remote rejected] v1 -> v1 (tags do not deploy")
	require.Contains(t, out, "! [remote rejected] main -> master (one branch deploys at a time")
	require.Len(t, h.pushed(), 1)
}

func TestReceivePack_AtomicIsAllOrNothing(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")

	out := c.fail("push", "--atomic", "octo", "main", "main:dev")

	require.Contains(t, out, "main -> main (nothing of an atomic push is deployed when a part of it is refused)")
	require.Empty(t, h.pushed())
	c.git("push", "--atomic", "octo", "main")
	require.Len(t, h.pushed(), 1)
}

func TestReceivePack_DeploysTheBranchOfTheApp(t *testing.T) {
	h := startHost(t)
	h.branch = "release/next"
	c := newClone(t, h, "hello")

	require.Contains(t, c.fail("push", "octo", "main"), "(only release/next deploys; to deploy this commit: git push octo HEAD:release/next)")
	c.git("push", "octo", "main:release/next")

	require.Equal(t, "release/next", h.pushed()[0].Branch)
	dir := t.TempDir()
	c.git("clone", "-q", "octo@door:hello", dir)
	require.FileExists(t, dir+"/Dockerfile", "a clone checks out what was deployed")
}

func TestReceivePack_TakesForcedPush(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	first := c.git("rev-parse", "HEAD")
	c.commit("more", "more")
	c.git("push", "octo", "main:master")
	c.git("reset", "-q", "--hard", first)

	require.Contains(t, c.fail("push", "octo", "main:master"), "non-fast-forward")
	c.git("push", "-f", "octo", "main:master")

	require.Equal(t, first, h.ref("hello", "refs/heads/master"))
	require.Len(t, h.pushed(), 2)
}

func TestReceivePack_PassesOptions(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	c.git("push", "-o", "no-wait", "-o", "a=b c", "octo", "main")
	require.Equal(t, []string{"no-wait", "a=b c"}, h.pushed()[0].Options)
}

func TestReceivePack_TakesManyObjects(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	for i := range 300 {
		require.NoError(t, os.WriteFile(fmt.Sprintf("%s/f%d", c.dir, i), []byte(fmt.Sprint(i)), 0o644))
	}
	c.commit("last", "last")
	c.git("push", "octo", "main")
	c.git("-C", h.dir("hello"), "fsck", "--strict")
}

func TestReceivePack_RefusesWithoutRoom(t *testing.T) {
	h := startHost(t, func(r *Repos) {
		r.cfg.Free = func() error { return octo.Errorf(octo.ErrUnavailable, "only 10 MB of disk are free") }
	})
	c := newClone(t, h, "hello")
	require.Contains(t, c.fail("push", "octo", "main"), "only 10 MB of disk are free")
	require.Empty(t, h.pushed())
}

func TestReceivePack_ReportsABranchThatCannotBeRead(t *testing.T) {
	h := startHost(t, func(r *Repos) {
		r.cfg.Branch = func(context.Context, octo.Name) (string, error) {
			return "", octo.Errorf(octo.ErrUnavailable, "the store is closed")
		}
	})
	c := newClone(t, h, "hello")
	require.Contains(t, c.fail("push", "octo", "main"), "(cannot find out which branch deploys: the store is closed)")
}
