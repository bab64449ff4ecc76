package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/octohost/octohost/internal/octo"
)

// maxText bounds the Dockerfiles and .dockerignore files that are looked at.
const maxText = 1 << 20

// head is the beginning of a source tar, as far as it had to be read to know how to
// build it, and the way to the rest.
type head struct {
	features features

	dockerfile string
	keep       map[string]bool                // never ignored: the builder needs them
	ignore     *patternmatcher.PatternMatcher // nil means that nothing is ignored
	read       *spool                         // entries that were read
	rest       *tar.Reader
	source     io.Reader // below rest
}

// readHead reads as much of source as it takes to see the Dockerfile and to know
// whether there is a .dockerignore. git archive sorts, so that is little; of other
// tars it is everything.
func readHead(source io.Reader, dockerfile string) (*head, error) {
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	dockerfile = path.Clean(dockerfile)
	s := &search{
		head:  &head{dockerfile: dockerfile, read: newSpool(), rest: tar.NewReader(source), source: source},
		files: map[string]string{dockerfile: "", dockerfile + ".dockerignore": "", ".dockerignore": ""},
		found: map[string]bool{},
	}
	s.head.keep = map[string]bool{}
	for name := range s.files {
		s.head.keep[name] = true
	}
	if err := s.run(); err != nil {
		s.head.close()
		return nil, err
	}
	return s.head, nil
}

// search is readHead at work.
type search struct {
	head   *head
	files  map[string]string // what is looked for, and its content
	found  map[string]bool
	sorted bool   // it is a git archive
	other  string // a file that may have been meant for the Dockerfile
}

func (s *search) run() error {
	for !s.done() {
		header, err := s.head.rest.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
			return octo.Errorf(octo.ErrInvalid, "the source is not a whole tar: %v", err)
		case err != nil:
			return fmt.Errorf("read source: %w", err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			s.sorted = true // git archive begins with the commit's id
			continue
		}
		if err := s.take(header); err != nil {
			return err
		}
		if s.sorted && s.passed(clean(header.Name)) {
			break
		}
	}
	if !s.found[s.head.dockerfile] {
		return s.missing()
	}
	return s.conclude()
}

// done reports whether nothing that could still come would change anything.
func (s *search) done() bool {
	return s.found[s.head.dockerfile] && s.found[s.head.dockerfile+".dockerignore"]
}

// passed reports whether all that is looked for would have come before name.
func (s *search) passed(name string) bool {
	for wanted := range s.files {
		if name <= wanted {
			return false
		}
	}
	return true
}

// take keeps an entry for later, and looks at it if it is one of those looked for.
func (s *search) take(header *tar.Header) error {
	name := clean(header.Name)
	var text bytes.Buffer
	content := io.Reader(s.head.rest)
	_, wanted := s.files[name]
	if wanted {
		content = io.TeeReader(content, &limitedBuffer{&text})
	} else if strings.EqualFold(name, s.head.dockerfile) {
		s.other = name
	}
	if err := s.head.read.add(header, content); err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	if wanted {
		s.files[name], s.found[name] = text.String(), true
	}
	return nil
}

// limitedBuffer forgets what goes beyond maxText.
type limitedBuffer struct{ *bytes.Buffer }

// Write never fails.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	_, _ = b.Buffer.Write(p[:min(len(p), maxText-b.Len())]) // a buffer takes everything
	return len(p), nil
}

func (s *search) missing() error {
	oops := octo.Errorf(octo.ErrInvalid, "there is no %s in what was pushed", s.head.dockerfile)
	if s.other != "" {
		return oops.WithHint("there is a %s: rename it, commit, and push again", s.other)
	}
	return oops.WithHint("add one at the root of the repository, or name it in octohost.toml: [build] dockerfile = \"path\"; then commit and push again")
}

// conclude works out what the files that were found say. The ignore file of the
// Dockerfile itself counts before the general one
// (https://docs.docker.com/build/concepts/context/#filename-and-location).
func (s *search) conclude() error {
	s.head.features = scan(s.files[s.head.dockerfile])
	name := s.head.dockerfile + ".dockerignore"
	if !s.found[name] {
		name = ".dockerignore"
	}
	patterns, err := ignorefile.ReadAll(strings.NewReader(s.files[name]))
	if err == nil && len(patterns) > 0 {
		s.head.ignore, err = patternmatcher.New(patterns)
	}
	if err != nil {
		return octo.Errorf(octo.ErrInvalid, "%s cannot be understood: %v", name, err)
	}
	return nil
}

func clean(name string) string { return path.Clean(strings.TrimPrefix(name, "/")) }

// copyTo writes the whole source, without what is ignored, as a tar.
func (h *head) copyTo(w io.Writer) error {
	out := tar.NewWriter(w)
	first, err := h.read.reader()
	if err != nil {
		return err
	}
	for _, in := range []*tar.Reader{first, h.rest} {
		if err := h.copyEntries(out, in); err != nil {
			return err
		}
	}
	// A source may say only at its very end that it is not whole.
	if _, err := io.Copy(io.Discard, h.source); err != nil {
		return err
	}
	return out.Close()
}

func (h *head) copyEntries(out *tar.Writer, in *tar.Reader) error {
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ignored, err := h.ignored(clean(header.Name))
		if err != nil {
			return err
		}
		if ignored || header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := copyEntry(out, header, in); err != nil {
			return err
		}
	}
}

func copyEntry(out *tar.Writer, header *tar.Header, content io.Reader) error {
	if sparse(header) {
		// A few bytes of it can stand for a full disk, and git makes none.
		return octo.Errorf(octo.ErrInvalid, "the source has a sparse file, %q", header.Name)
	}
	header.Format = tar.FormatUnknown // whichever can hold it
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(out, content)
	return err
}

func sparse(header *tar.Header) bool {
	for name := range header.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

func (h *head) ignored(name string) (bool, error) {
	if h.ignore == nil || h.keep[name] || name == "." {
		return false, nil
	}
	return h.ignore.MatchesOrParentMatches(name)
}

// close gives back what head holds.
func (h *head) close() { h.read.close() }
