package docker

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine/enginetest"
)

// registry serves one image, with BASE=mark in its environment, as a registry on
// the loopback interface does, which engines trust without TLS. It returns the
// image's reference.
func registry(t testing.TB, mark string) string {
	t.Helper()
	layer := enginetest.Tar(t, map[string]string{"base.txt": mark})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(layer)
	require.NoError(t, err)
	require.NoError(t, z.Close())

	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Env": []string{"BASE=" + mark}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	require.NoError(t, err)
	const media = "application/vnd.docker.distribution.manifest.v2+json"
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": media,
		"config": descriptor("application/vnd.docker.container.image.v1+json", config),
		"layers": []any{descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", packed.Bytes())},
	})
	require.NoError(t, err)
	blobs := map[string][]byte{digest(config): config, digest(packed.Bytes()): packed.Bytes()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; {
		case r.URL.Path == "/v2/":
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", media)
			w.Header().Set("Docker-Content-Digest", digest(manifest))
			_, _ = w.Write(manifest)
		case blobs[last] != nil:
			_, _ = w.Write(blobs[last])
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/" + mark + "/base:latest"
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func descriptor(media string, b []byte) map[string]any {
	return map[string]any{"mediaType": media, "digest": digest(b), "size": len(b)}
}

// running reports whether a process of this machine has mark in its command line.
func running(t testing.TB, mark string) bool {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range found {
		text, err := os.ReadFile(path) //nolint:gosec // a test
		if err == nil && bytes.Contains(text, []byte("\x00"+mark+"\x00")) {
			return true
		}
	}
	return false
}
