package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// maxListing is how long the list of a commit's files may be, in bytes; that of a
// commit with half a million files is. A small pack can hold a tree that unfolds
// without end.
const maxListing = 64 << 20

// Submodules returns the paths in a commit that are commits of other repositories,
// whose files a push does not bring. ErrInvalid means that commit is not a full
// object id, or that it has more files than can be meant.
func (r *Repos) Submodules(ctx context.Context, app octo.Name, commit string) (paths []string, err error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = r.stream(r.command(ctx, app, "ls-tree", "-r", "-z", commit), cancel, func(from *bufio.Reader) (err error) {
		paths, err = readSubmodules(from)
		return err
	})
	return paths, err
}

// readSubmodules reads the output of git ls-tree -z.
func readSubmodules(from *bufio.Reader) (paths []string, err error) {
	for total := 0; total <= maxListing; {
		entry, err := from.ReadSlice(0)
		switch {
		case errors.Is(err, io.EOF):
			return paths, nil
		case err != nil: // a path longer than the buffer among them
			return nil, fmt.Errorf("read list of files: %w", err)
		}
		total += len(entry)
		if !bytes.HasPrefix(entry, []byte("160000 ")) {
			continue
		}
		_, path, _ := bytes.Cut(bytes.TrimSuffix(entry, []byte{0}), []byte("\t"))
		paths = append(paths, string(path))
	}
	return nil, octo.Errorf(octo.ErrInvalid, "the commit has more files than can be meant (their list is longer than %s)", octo.Size(maxListing))
}

// Tag keeps the commit of a release from being collected, under a ref that clients
// do not see.
func (r *Repos) Tag(ctx context.Context, app octo.Name, release int, commit string) error {
	if err := checkCommit(commit); err != nil {
		return err
	}
	_, err := r.output(ctx, app, "update-ref", releaseRef(release), commit)
	return err
}

func releaseRef(release int) string { return "refs/octo/releases/" + octo.Version(release) }

// Untag lets go of the commits of releases: what no branch has may be collected then.
// Releases without a tag are no error.
func (r *Repos) Untag(ctx context.Context, app octo.Name, releases []int) error {
	if !r.Exists(app) {
		return nil
	}
	var orders strings.Builder
	for _, n := range releases {
		fmt.Fprintf(&orders, "delete %s\n", releaseRef(n))
	}
	cmd := r.command(ctx, app, "update-ref", "--stdin")
	cmd.Stdin = strings.NewReader(orders.String())
	_, err := r.run(cmd)
	return err
}
