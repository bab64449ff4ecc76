package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// putFiles copies the files of spec into a container that was not started yet. One
// that is lost before its start is never started without them: nobody starts a
// container that is only created.
func (e *Engine) putFiles(ctx context.Context, id string, spec engine.Spec) error {
	if len(spec.Files) == 0 {
		return nil
	}
	for _, f := range spec.Files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return octo.Errorf(octo.ErrInvalid, "container %s: %q is not the path of a file", spec.Name, f.Path)
		}
	}
	_, err := e.client.CopyToContainer(ctx, id, client.CopyToContainerOptions{
		DestinationPath: "/", Content: bytes.NewReader(fileTar(spec.Files)),
	})
	return e.fail(err, "put files into container %s", spec.Name)
}

// fileTar returns the tar of files that everybody may read, with those of their
// directories that are below the first: that one is the image's, if it has it.
func fileTar(files []engine.File) []byte {
	var out bytes.Buffer // which takes everything, so that nothing can fail
	w := tar.NewWriter(&out)
	var made []string
	for _, f := range files {
		name := strings.TrimPrefix(f.Path, "/")
		for _, dir := range parents(name) {
			if !slices.Contains(made, dir) {
				_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755})
				made = append(made, dir)
			}
		}
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: int64(len(f.Content))})
		_, _ = w.Write(f.Content)
	}
	_ = w.Close()
	return out.Bytes()
}

// parents returns the directories above name but the first, from the top: of a/b/c/d
// these are a/b and a/b/c.
func parents(name string) []string {
	var dirs []string
	for dir := path.Dir(name); strings.Contains(dir, "/"); dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}
