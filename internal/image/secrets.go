package image

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/octo"
)

// firstFile is the number that a child process knows the first of its files by, after
// the standard streams.
const firstFile = 3

// secretFiles puts secrets into files in memory, without a name anywhere, and returns
// the arguments by which buildx finds them among its open files. The arguments say
// nothing of the values. Close the files.
func secretFiles(secrets map[string][]byte) (args []string, files []*os.File, err error) {
	for _, id := range slices.Sorted(maps.Keys(secrets)) {
		f, err := memoryFile(secrets[id])
		if err != nil {
			closeAll(files)
			return nil, nil, fmt.Errorf("hand over build secret %s: %w", id, err)
		}
		args = append(args, fmt.Sprintf("--secret=id=%s,src=/proc/self/fd/%d", id, firstFile+len(files)))
		files = append(files, f)
	}
	return args, files, nil
}

func memoryFile(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("secret", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "secret") //nolint:gosec // a file descriptor
	if _, err := f.Write(content); err != nil {
		_ = f.Close() // it was never used
		return nil, err
	}
	return f, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // there is nothing in it that is not elsewhere
	}
}

// noSecrets is the failure of a build with secrets where only the classic builder is
// to be had.
func noSecrets(why string) error {
	return octo.Errorf(octo.ErrInvalid, "octohost.toml names build secrets, which need BuildKit, but %s", why).
		WithHint("do without [build] secrets; or ask the operator of this octohost for BuildKit (docs/deploying.md, builders)")
}
