package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/octohost/octohost/internal/octo"
)

// readInput reads a file of the person, or stdin if path is "-", whole and byte for
// byte. Who came over SSH has no files here.
func (s *session) readInput(path string, limit int) ([]byte, error) {
	if path == "-" {
		return readLimited(s.env.In, "what came on stdin", limit)
	}
	if s.inProcess {
		return nil, usage("send it on stdin: ssh … - < FILE", "your files are not here")
	}
	if rest, home := strings.CutPrefix(path, "~/"); home && s.env.Home != "" { // a shell does not expand NAME=@~/…
		path = filepath.Join(s.env.Home, rest)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.env.Dir, path)
	}
	f, err := os.Open(path) //nolint:gosec // the person's own
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, octo.Errorf(octo.ErrNotFound, "there is no file %s", clean(path)).WithHint("for a value that begins with @ itself: --raw")
	case errors.Is(err, fs.ErrPermission):
		return nil, octo.Errorf(octo.ErrDenied, "you may not read %s", clean(path)).WithHint("look at its permissions with: ls -l")
	case err != nil:
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, octo.Errorf(octo.ErrInvalid, "%s is a directory", clean(path)).WithHint("name a file")
	}
	return readLimited(f, clean(path), limit)
}

func readLimited(r io.Reader, what string, limit int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case len(text) > limit:
		return nil, octo.Errorf(octo.ErrInvalid, "%s has more than %s", what, octo.Size(limit)).WithHint("put large files into the image, or where the app can fetch them")
	}
	return text, nil
}

// askSecret asks a person for a value that is not to be seen.
func (s *session) askSecret(ctx context.Context, name string) (octo.ConfigValue, error) {
	terminal, ok := s.env.In.(*os.File)
	if !ok {
		return nil, usage("send it on stdin: … "+name+"=- < FILE", "a value cannot be typed here without being seen")
	}
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err == nil {
		err = hush(fd) // before the question: what is typed at once is not to be seen either
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a value: %w", err)
	}
	s.question("%s (what you type is not shown): ", name)
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() { // nothing ends a read from a terminal; the process does
		text, err := term.ReadPassword(fd)
		got <- answer{text, err}
	}()
	defer s.question("\n")
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	case a := <-got:
		if err := errors.Join(a.err, term.Restore(fd, before)); err != nil {
			return nil, fmt.Errorf("ask for a value: %w", err)
		}
		return a.text, nil
	}
}
