package git

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestArchive_IsTheCommit(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	require.NoError(t, os.WriteFile(c.dir+"/run", []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.WriteFile(c.dir+"/secret", []byte("x"), 0o644))
	require.NoError(t, os.Symlink("run", c.dir+"/link"))
	head := c.commit(".gitattributes", "secret export-ignore\n")
	c.git("push", "octo", "main")
	c.commit("later", "later")
	require.NoError(t, os.WriteFile(c.dir+"/uncommitted", nil, 0o644))
	c.git("push", "octo", "main")

	a, err := h.Archive(t.Context(), "hello", head)
	require.NoError(t, err)
	files := map[string]int64{}
	for r := tar.NewReader(a); ; {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		files[f.Name] = f.Mode
	}
	require.NoError(t, a.Close())
	delete(files, "pax_global_header") // holds the commit's id
	require.Equal(t, map[string]int64{"Dockerfile": 0o644, "run": 0o755, "link": 0o777, ".gitattributes": 0o644}, files)
}

func TestArchive_NeverPassesOffAPartAsTheWhole(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	c.commit("big", strings.Repeat("0123456789", 100_000))
	c.commit("z", "z")
	head := c.git("rev-parse", "HEAD")
	c.git("push", "octo", "main")
	blob := c.git("rev-parse", "HEAD:z")
	// Unpacked, one object can be damaged.
	require.NoError(t, h.Tag(t.Context(), "hello", 1, head))
	packs, err := filepath.Glob(h.dir("hello") + "/objects/pack/*.pack")
	require.NoError(t, err)
	for _, p := range packs {
		data, err := os.ReadFile(p)
		require.NoError(t, err)
		for _, suffix := range []string{".pack", ".idx", ".rev"} {
			require.NoError(t, errors.Join(os.RemoveAll(strings.TrimSuffix(p, ".pack")+suffix)))
		}
		cmd := h.command(t.Context(), "hello", "unpack-objects", "-q")
		cmd.Stdin = bytes.NewReader(data)
		require.NoError(t, cmd.Run())
	}
	require.NoError(t, os.Remove(filepath.Join(h.dir("hello"), "objects", blob[:2], blob[2:])))

	a, err := h.Archive(t.Context(), "hello", head)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, a)
	require.ErrorContains(t, err, "git archive: ")
	require.Equal(t, err, a.Close())
}

func TestArchive_MayBeLeftEarly(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	head := c.commit("big", strings.Repeat("0123456789", 1_000_000))
	c.git("push", "octo", "main")
	a, err := h.Archive(t.Context(), "hello", head)
	require.NoError(t, err)
	_, err = a.Read(make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	_, err = a.Read(make([]byte, 10))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, a.Close())
}

func TestCommit_OnlyFullObjectIDs(t *testing.T) {
	h := startHost(t)
	for _, bad := range []string{"", "main", "--output=/tmp/x", strings.Repeat("0", 39), strings.Repeat("A", 40), strings.Repeat("0", 40) + "\n"} {
		_, err := h.Archive(t.Context(), "hello", bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		_, err = h.Files(t.Context(), "hello", bad, "x")
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		_, err = h.Submodules(t.Context(), "hello", bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		require.ErrorIs(t, h.Tag(t.Context(), "hello", 1, bad), octo.ErrInvalid, bad)
	}
}

func TestFiles_ReadsWhatIsThere(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	for name, target := range map[string]string{"link": "deploy/Dockerfile", "out": "../../etc/passwd", "abs": "/etc/passwd", "loop": "loop", "lost": "nowhere"} {
		require.NoError(t, os.Symlink(target, c.dir+"/"+name))
	}
	c.commit("deploy/Dockerfile", "FROM deploy\n")
	c.commit("empty", "")
	head := c.commit("a b: missing", "odd name")
	c.git("push", "octo", "main")

	files, err := h.Files(t.Context(), "hello", head,
		"Dockerfile", "Procfile", "deploy", "deploy/Dockerfile", "link", "out", "abs", "loop", "lost", "empty", "a b: missing", "no such: missing", "/etc/passwd")

	require.NoError(t, err)
	require.Equal(t, map[string][]byte{
		"Dockerfile": []byte("FROM scratch\n"), "deploy/Dockerfile": []byte("FROM deploy\n"), "link": []byte("FROM deploy\n"),
		"empty": {}, "a b: missing": []byte("odd name"),
	}, files)
	_, err = h.Files(t.Context(), "hello", head, "a\nb")
	require.ErrorIs(t, err, octo.ErrInvalid)
	_, err = h.Files(t.Context(), "hello", strings.Repeat("1", 40), "a")
	require.NoError(t, err, "every file of a commit that is not there is absent")
}

func TestFiles_RefusesLargeOnes(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	head := c.commit("octohost.toml", strings.Repeat("#", maxFile+1))
	c.git("push", "octo", "main")
	_, err := h.Files(t.Context(), "hello", head, "octohost.toml", "Dockerfile")
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.EqualError(t, err, "octohost.toml is larger than 1.0 MiB")
}

func TestSubmodules_AreFound(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	head := c.git("rev-parse", "HEAD")
	c.git("push", "octo", "main")
	subs, err := h.Submodules(t.Context(), "hello", head)
	require.NoError(t, err)
	require.Empty(t, subs)

	c.git("update-index", "--add", "--cacheinfo", "160000,"+head+",vendor/lib")
	c.git("update-index", "--add", "--cacheinfo", "160000,"+head+",a b")
	c.git("commit", "-q", "-m", "submodules")
	c.git("push", "octo", "main")
	subs, err = h.Submodules(t.Context(), "hello", c.git("rev-parse", "HEAD"))
	require.NoError(t, err)
	require.Equal(t, []string{"a b", "vendor/lib"}, subs)
}

// A tree of ten trees of ten trees … takes no room in a pack, and more memory than
// there is where it is taken for a list of files.
func TestCommit_ATreeWithoutEndIsRefused(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.limits.memory = 256 << 20 })
	c := newClone(t, h, "hello")
	id := c.git("rev-parse", "HEAD:Dockerfile")
	kind := "100644 blob"
	for range 10 {
		var list strings.Builder
		for i := range 10 {
			fmt.Fprintf(&list, "%s %s\t%d\n", kind, id, i)
		}
		mktree := c.command("mktree")
		mktree.Stdin = strings.NewReader(list.String())
		out, err := mktree.Output()
		require.NoError(t, err)
		id, kind = strings.TrimSpace(string(out)), "040000 tree"
	}
	head := c.git("commit-tree", "-m", "bomb", id)
	c.git("push", "-f", "octo", head+":refs/heads/main")

	_, err := h.Submodules(t.Context(), "hello", head)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "more files than can be meant")
	_, err = h.Archive(t.Context(), "hello", head)
	require.ErrorIs(t, err, octo.ErrInvalid)
}

func TestArchive_OfFarTooMuchIsCutOff(t *testing.T) {
	h := startHost(t, func(r *Repos) { r.cfg.MaxPush = 1 << 20 })
	c := newClone(t, h, "hello")
	head := c.commit("zeros", strings.Repeat("0", 9<<20))
	c.git("push", "octo", "main")
	a, err := h.Archive(t.Context(), "hello", head)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, a)
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.LessOrEqual(t, n, int64(maxUnfold<<20))
	require.ErrorIs(t, a.Close(), octo.ErrInvalid)
}

func TestTag_KeepsACommitWithoutShowingIt(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	first := c.git("rev-parse", "HEAD")
	c.git("push", "octo", "main")
	require.NoError(t, h.Tag(t.Context(), "hello", 1, first))
	require.NoError(t, h.Tag(t.Context(), "hello", 1, first), "again")
	c.git("commit", "-q", "--amend", "-m", "other")
	c.git("push", "-f", "octo", "main")

	require.Equal(t, first, h.ref("hello", "refs/octo/releases/v1"))
	_, err := h.output(context.Background(), "hello", "gc", "-q", "--prune=now")
	require.NoError(t, err)
	_, err = h.output(context.Background(), "hello", "cat-file", "-e", first)
	require.NoError(t, err)
	require.NotContains(t, c.git("ls-remote", "octo"), first)
	require.NotContains(t, c.git("ls-remote", "octo"), "refs/octo")

	require.NoError(t, h.Untag(t.Context(), "hello", []int{1, 7}), "v7 was never tagged")
	_, err = h.output(context.Background(), "hello", "gc", "-q", "--prune=now")
	require.NoError(t, err)
	_, err = h.output(context.Background(), "hello", "cat-file", "-e", first)
	require.Error(t, err, "it is let go of")
	require.NoError(t, h.Untag(t.Context(), "nothing", []int{1}))
}

func FuzzReadObject(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add([]byte(id + " blob 3\nabc\n"))
	f.Add([]byte("x missing\n"))
	f.Add([]byte("dangling 3\nabc\n"))
	f.Add([]byte(id + " blob -3\nabc\n"))
	f.Add([]byte(id + " blob 99999999999999\nabc\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		data, _, err := readObject(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && len(data) > len(b) {
			t.Fatalf("%d bytes out of %d", len(data), len(b))
		}
	})
}
