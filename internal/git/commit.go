package git

import (
	"bytes"
	"context"

	"github.com/octohost/octohost/internal/octo"
)

// Submodules returns the paths in a commit that are commits of other repositories,
// whose files a push does not bring.
func (r *Repos) Submodules(ctx context.Context, app octo.Name, commit string) ([]string, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	out, err := r.output(ctx, app, "ls-tree", "-r", "-z", commit)
	if err != nil {
		return nil, err
	}
	var paths []string
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		meta, path, _ := bytes.Cut(entry, []byte("\t"))
		if bytes.HasPrefix(meta, []byte("160000 ")) {
			paths = append(paths, string(path))
		}
	}
	return paths, nil
}

// Tag keeps the commit of a release from being collected, under a ref that clients
// do not see.
func (r *Repos) Tag(ctx context.Context, app octo.Name, release int, commit string) error {
	if err := checkCommit(commit); err != nil {
		return err
	}
	_, err := r.output(ctx, app, "update-ref", "refs/octo/releases/"+octo.Version(release), commit)
	return err
}
