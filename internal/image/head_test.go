package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// copied returns the files that a builder would get.
func copied(t testing.TB, source io.Reader, dockerfile string) (map[string]string, *head) {
	t.Helper()
	h, err := readHead(source, dockerfile)
	require.NoError(t, err)
	t.Cleanup(h.close)
	var out bytes.Buffer
	require.NoError(t, h.copyTo(&out))
	return untar(t, &out), h
}

func untar(t testing.TB, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for in := tar.NewReader(r); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		text, err := io.ReadAll(in)
		require.NoError(t, err)
		if header.Typeflag == tar.TypeReg {
			files[header.Name] = string(text)
		}
	}
}

func TestReadHead_LeavesOutWhatIsIgnored(t *testing.T) {
	all := map[string]string{
		"Dockerfile": "FROM scratch\nRUN x", ".dockerignore": "*.md\n!KEEP.md\nnode_modules\n**/*.log\n.git*\nDockerfile\n",
		"README.md": "1", "KEEP.md": "2", "src/a.go": "3", "src/a.log": "4", "node_modules/x/y": "5", ".gitignore": "6",
	}
	files, h := copied(t, bytes.NewReader(enginetest.Tar(t, all)), "Dockerfile")
	require.True(t, h.features.runs)
	require.Equal(t, map[string]string{
		"Dockerfile": all["Dockerfile"], ".dockerignore": all[".dockerignore"], "KEEP.md": "2", "src/a.go": "3",
	}, files)

	delete(all, ".dockerignore")
	all["Dockerfile.dockerignore"] = "src"
	files, _ = copied(t, bytes.NewReader(enginetest.Tar(t, all)), "./Dockerfile")
	require.NotContains(t, files, "src/a.go")
	require.Contains(t, files, "README.md")
	all[".dockerignore"] = "README.md"
	files, _ = copied(t, bytes.NewReader(enginetest.Tar(t, all)), "Dockerfile")
	require.Contains(t, files, "README.md", "the one of the Dockerfile counts")

	_, err := readHead(bytes.NewReader(enginetest.Tar(t, map[string]string{"Dockerfile": "FROM scratch", ".dockerignore": "[a"})), "")
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, ".dockerignore")
}

func TestReadHead_SaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		files      map[string]string
		dockerfile string
		want       string
	}{
		"none":       {map[string]string{"README": ""}, "Dockerfile", "there is no Dockerfile in what was pushed; add one"},
		"other case": {map[string]string{"dockerfile": ""}, "Dockerfile", "there is a dockerfile: rename it"},
		"named":      {map[string]string{"Dockerfile": ""}, "deploy/Dockerfile", "there is no deploy/Dockerfile in what was pushed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readHead(bytes.NewReader(enginetest.Tar(t, c.files)), c.dockerfile)
			require.ErrorIs(t, err, octo.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := readHead(strings.NewReader(strings.Repeat("nonsense", 100)), "")
	require.ErrorIs(t, err, octo.ErrInvalid)
	broken := errors.New("git archive failed")
	_, err = readHead(iotest.ErrReader(broken), "")
	require.ErrorIs(t, err, broken)
}

// git runs git in a repository.
func git(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	return out
}

func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "x")
	return git(t, dir, "archive", "HEAD")
}

func TestReadHead_ReadsLittleOfAGitArchive(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for name, files := range map[string]map[string]string{
		"ignore":    {".circleci/config": "x", ".dockerignore": "*.md", "Dockerfile": "FROM scratch", "README.md": "", "big": big},
		"no ignore": {".circleci/config": "x", "Dockerfile": "FROM scratch", "Dockerfiles/x": "", "README.md": "", "big": big, "z": big},
	} {
		t.Run(name, func(t *testing.T) {
			source := bytes.NewReader(archive(t, files))
			h, err := readHead(source, "Dockerfile")
			require.NoError(t, err)
			defer h.close()
			require.Greater(t, source.Len(), 1<<20, "the rest is not read yet")
			var out bytes.Buffer
			require.NoError(t, h.copyTo(&out))
			want := map[string]string{}
			for path, text := range files {
				if name != "ignore" || path != "README.md" {
					want[path] = text
				}
			}
			require.Equal(t, want, untar(t, &out))
		})
	}
	source := bytes.NewReader(archive(t, map[string]string{"README": "", "big": big}))
	_, err := readHead(source, "Dockerfile")
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.Greater(t, source.Len(), 1<<20, "that it is missing shows early")
}

func TestReadHead_SpoolsLargeSources(t *testing.T) {
	big := strings.Repeat("x", maxSpool)
	files := map[string]string{"A": big, "B": big, "Dockerfile": "FROM scratch", "z": big}
	got, h := copied(t, bytes.NewReader(enginetest.Tar(t, files)), "Dockerfile")
	require.NotNil(t, h.read.file)
	require.Equal(t, files, got)
}

func TestReadHead_ASourceThatBreaksIsNotTakenForWhole(t *testing.T) {
	broken := errors.New("git archive failed")
	whole := archive(t, map[string]string{"Dockerfile": "FROM scratch", "a": "x", "b": "y"})
	for _, end := range []int{len(whole), 3072, 2048, 1024} {
		h, err := readHead(io.MultiReader(bytes.NewReader(whole[:end]), iotest.ErrReader(broken)), "Dockerfile")
		if err == nil {
			err = h.copyTo(io.Discard)
			h.close()
		}
		require.ErrorIs(t, err, broken, "%d", end)
	}
}

func TestReadHead_RefusesSparseFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), nil, 0o600))
	require.NoError(t, os.Truncate(filepath.Join(dir, "big"), 1<<40))
	for _, format := range []string{"gnu", "posix"} {
		source, err := exec.CommandContext(t.Context(), "tar", "-C", dir, "--sparse", "--format="+format, "-cf-", "big", "Dockerfile").Output()
		require.NoError(t, err)
		_, err = readHead(bytes.NewReader(source), "Dockerfile")
		require.ErrorIs(t, err, octo.ErrInvalid)
		require.ErrorContains(t, err, "sparse")
	}
}

func FuzzReadHead(f *testing.F) {
	f.Add(enginetest.Tar(f, map[string]string{"Dockerfile": "FROM scratch", ".dockerignore": "*\n!x"}), "Dockerfile")
	f.Add([]byte("x"), "../x")
	f.Fuzz(func(_ *testing.T, source []byte, dockerfile string) {
		h, err := readHead(bytes.NewReader(source), dockerfile)
		if err != nil {
			return
		}
		defer h.close()
		_ = h.copyTo(io.Discard) // anything but a panic
	})
}
