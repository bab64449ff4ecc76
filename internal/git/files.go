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

// maxFile is the largest file in bytes that Files reads.
const maxFile = 1 << 20

var errTooLarge = errors.New("file too large")

// Files returns the content of those of the paths that are files in the commit;
// symbolic links within it are followed. ErrInvalid means that commit is not a full
// object id, that a path cannot be one, or that a file is larger than 1 MiB.
func (r *Repos) Files(ctx context.Context, app octo.Name, commit string, paths ...string) (map[string][]byte, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	var ask bytes.Buffer
	for _, p := range paths {
		if !isPath(p) {
			return nil, octo.Errorf(octo.ErrInvalid, "%q is not a path in a repository", oneLine(p))
		}
		fmt.Fprintf(&ask, "%s:%s\n", commit, p)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := r.command(ctx, app, "cat-file", "--batch", "--follow-symlinks")
	cmd.Stdin = &ask
	var files map[string][]byte
	err := r.stream(cmd, cancel, func(from *bufio.Reader) (err error) {
		files, err = readFiles(from, paths)
		return err
	})
	return files, err
}

// isPath reports whether p can be asked for: git would resolve ./ and ../ itself.
func isPath(p string) bool {
	return p != "" && !strings.ContainsAny(p, "\n\x00") && !strings.HasPrefix(p, "./") && !strings.HasPrefix(p, "../")
}

// readFiles reads the answers of git cat-file --batch about paths, in their order.
func readFiles(r *bufio.Reader, paths []string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, path := range paths {
		data, found, err := readObject(r)
		if errors.Is(err, errTooLarge) {
			return nil, octo.Errorf(octo.ErrInvalid, "%s is larger than %s", oneLine(path), octo.Size(maxFile))
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if found {
			files[path] = data
		}
	}
	return files, nil
}

// readObject reads one answer: "<id> <type> <size>\n<content>\n", "<name> missing\n",
// or, of symbolic links that lead nowhere, "<why> <size>\n<target>\n".
func readObject(r *bufio.Reader) (data []byte, found bool, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, false, noEOF(err)
	}
	line = strings.TrimSuffix(line, "\n")
	if strings.HasSuffix(line, " missing") {
		return nil, false, nil
	}
	var size int64
	if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &size); err != nil {
		return nil, false, fmt.Errorf("git answers %q", oneLine(line))
	}
	fields := strings.Fields(line)
	isFile := len(fields) == 3 && isObject(fields[0]) && fields[1] == "blob"
	switch {
	case size < 0, !isFile && size > 16*maxFile:
		return nil, false, fmt.Errorf("git answers %q", oneLine(line))
	case isFile && size > maxFile:
		return nil, false, errTooLarge
	}
	data = make([]byte, size+1)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, false, noEOF(err)
	}
	return data[:size], isFile, nil
}
