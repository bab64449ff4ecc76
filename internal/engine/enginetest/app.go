package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
)

//go:embed testapp/main.go webapp/webapp.go webapp/handler.go webapp/prints.go webapp/tool.go webapp/websocket.go
var sources embed.FS

// Binary returns the path of the compiled testapp, a static Linux program for the
// FROM scratch images of tests. It is compiled once for each state of its source.
func Binary(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "octohost-test")
	path := filepath.Join(dir, "testapp-"+sourceHash(t))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	fresh, err := os.CreateTemp(dir, "building-*")
	require.NoError(t, err)
	require.NoError(t, fresh.Close())
	defer os.Remove(fresh.Name()) //nolint:errcheck // renamed if all went well
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", fresh.Name(),
		"github.com/octohost/octohost/internal/engine/enginetest/testapp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.Chmod(fresh.Name(), 0o755)) //nolint:gosec // a program
	require.NoError(t, os.Rename(fresh.Name(), path)) // whole or not at all, for tests in other processes
	return path
}

func sourceHash(t testing.TB) string {
	t.Helper()
	sum := sha256.New()
	_, _ = io.WriteString(sum, runtime.Version()+runtime.GOARCH)
	require.NoError(t, fs.WalkDir(sources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := sources.ReadFile(path)
		_, _ = io.WriteString(sum, path+"\x00")
		_, _ = sum.Write(text)
		return err
	}))
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// HelloDockerfile is the Dockerfile of an image with nothing but testapp in it.
const HelloDockerfile = `FROM scratch
COPY testapp /testapp
EXPOSE 5000
CMD ["/testapp"]
`

// Source returns the tar of an app's source: testapp as "testapp", and files.
// Without a "Dockerfile" among them it has HelloDockerfile.
func Source(t testing.TB, files map[string]string) io.Reader {
	t.Helper()
	binary, err := os.ReadFile(Binary(t))
	require.NoError(t, err)
	all := map[string]string{"Dockerfile": HelloDockerfile}
	maps.Copy(all, files)
	// Of its own for each process: the classic builder takes "COPY testapp" of another
	// one from its cache, and fails if that one removes it at the same moment. (A
	// program does not mind what comes behind it.)
	all["testapp"] = fmt.Sprintf("%s%d.%d", binary, os.Getppid(), os.Getpid())
	return bytes.NewReader(Tar(t, all))
}

// Tar returns a tar of files, sorted by name. Those that are programs (they begin
// like one) are executable.
func Tar(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := int64(0o644)
		if text := files[name]; len(text) > 4 && text[:4] == "\x7fELF" {
			mode = 0o755
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(files[name])), ModTime: time.Unix(1e9, 0)}))
		_, err := io.WriteString(w, files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// ImageBuilder is what HelloImage needs of an engine.
type ImageBuilder interface {
	Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error)
	BuildKit(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error)
	RemoveImage(ctx context.Context, ref string) error
}

// HelloImage builds an image of testapp and files (see Source), labelled as host's,
// and returns its id. Sweep removes it.
func HelloImage(t testing.TB, e ImageBuilder, host string, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	spec := engine.BuildSpec{Dockerfile: "Dockerfile", Labels: map[string]string{engine.LabelHost: host}}
	source := Source(t, files)
	id, err := e.BuildKit(t.Context(), spec, source, &out)
	if errors.Is(err, engine.ErrNoBuildKit) {
		id, err = e.Build(t.Context(), spec, source, &out)
	}
	require.NoError(t, err, "%s", out.String())
	return id
}

// Sweep removes at the end of the test everything in the engine that is labelled as
// host's. Call it before anything is made.
func Sweep(t testing.TB, e Engine, host string) {
	labels := map[string]string{engine.LabelHost: host}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), deadline)
		defer cancel()
		containers, err := e.List(ctx, labels)
		require.NoError(t, err)
		for _, c := range containers {
			require.NoError(t, e.Remove(ctx, c.ID))
		}
		networks, err := e.Networks(ctx, labels)
		require.NoError(t, err)
		for _, n := range networks {
			require.NoError(t, e.RemoveNetwork(ctx, n.ID))
		}
		images, err := e.Images(ctx, labels)
		require.NoError(t, err)
		for _, i := range images {
			require.NoError(t, e.RemoveImage(ctx, i.ID))
		}
	})
}
