package image

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
)

// maxSpool is how much of a source is kept in memory before it goes to a file.
const maxSpool = 4 << 20

// spool keeps entries of a tar for a second reading: in memory, and in a temporary
// file if they are many.
type spool struct {
	tar    *tar.Writer
	memory bytes.Buffer
	file   *os.File // nil as long as memory does
}

func newSpool() *spool {
	s := &spool{}
	s.tar = tar.NewWriter(s)
	return s
}

// Write takes a part of the tar.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= maxSpool {
		return s.memory.Write(p)
	}
	if s.file == nil {
		file, err := os.CreateTemp("", "octohost-source-*")
		if err != nil {
			return 0, err
		}
		_ = os.Remove(file.Name()) // it lives as long as it is open, whatever happens to us
		s.file = file
		if _, err := s.memory.WriteTo(file); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

// add keeps one entry.
func (s *spool) add(header *tar.Header, content io.Reader) error {
	return copyEntry(s.tar, header, content)
}

// reader returns all entries from the first on. Nothing may be added after it.
func (s *spool) reader() (*tar.Reader, error) {
	if err := s.tar.Close(); err != nil {
		return nil, err
	}
	if s.file == nil {
		return tar.NewReader(&s.memory), nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return tar.NewReader(s.file), err
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // nothing of it is needed any more
	}
}
