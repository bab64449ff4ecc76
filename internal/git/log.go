package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// maxCommits is how many commits Commits returns at most.
const maxCommits = 100

// Commits returns the commits that lead to one commit and not to another, newest
// first; more says that there are more than are returned. ErrInvalid means that either
// is not a full object id.
func (r *Repos) Commits(ctx context.Context, app octo.Name, from, to string) (commits []octo.Commit, more bool, err error) {
	for _, commit := range []string{from, to} {
		if err := checkCommit(commit); err != nil {
			return nil, false, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := r.command(ctx, app, "log", "-z", "--format=%H%x00%an%x00%at%x00%s", "-n", strconv.Itoa(maxCommits+1), to, "^"+from, "--")
	err = r.stream(cmd, cancel, func(from *bufio.Reader) (err error) {
		commits, err = readCommits(from)
		return err
	})
	if len(commits) > maxCommits {
		commits, more = commits[:maxCommits], true
	}
	return commits, more, err
}

// readCommits reads the output of git log -z, four fields for each commit.
func readCommits(from *bufio.Reader) ([]octo.Commit, error) {
	commits := []octo.Commit{}
	for {
		var fields [4]string
		for i := range fields {
			field, err := from.ReadSlice(0)
			switch {
			case errors.Is(err, io.EOF) && i == 0 && len(field) == 0:
				return commits, nil
			case errors.Is(err, io.EOF) && i < 3:
				return nil, fmt.Errorf("read commits: %w", io.ErrUnexpectedEOF)
			case err != nil && !errors.Is(err, io.EOF):
				return nil, fmt.Errorf("read commits: %w", err)
			}
			fields[i] = oneLine(strings.TrimSuffix(string(field), "\x00"))
		}
		seconds, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read time of commit: %w", err)
		}
		commits = append(commits, octo.Commit{ID: fields[0], Author: fields[1], Time: time.Unix(seconds, 0).UTC(), Subject: fields[3]})
	}
}
