package ring

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment is a file: a header of 8 bytes that say what it is and 8 random ones, the
// salt, and then records. A record is
//
//	4 bytes  length of the data, little-endian
//	4 bytes  CRC-32C of the salt, the time and the data
//	8 bytes  time in Unix nanoseconds
//	         data
//	4 bytes  length of the data again, so that it can be read backwards
//
// Because of the salt, nobody who only chooses data can forge a record that is found
// when the one around it is damaged.
const (
	magic      = "octring1"
	headerSize = int64(len(magic)) + 8
	headSize   = 16
	tailSize   = 4
	suffix     = ".ring"
)

// segment is what is known of a file. The zero value is none.
type segment struct {
	number uint64
	size   int64 // bytes that are records, and the header
}

// sizeOf returns how many bytes a record takes in a segment.
func sizeOf(data []byte) int64 { return headSize + int64(len(data)) + tailSize }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once, by the library

// checksum is that of a record, over a seed that stands for the salt.
func checksum(seed uint32, stamp, data []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli(), stamp), castagnoli(), data)
}

// appendRecord adds a record to b.
func appendRecord(b []byte, seed uint32, stamp int64, data []byte) []byte {
	size := uint32(len(data)) //nolint:gosec // at most MaxRecord
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(stamp)) //nolint:gosec // the same bits
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b[at+4:], checksum(seed, b[at+8:at+headSize], data))
	return binary.LittleEndian.AppendUint32(b, size)
}

// create makes the next segment, which is empty.
func (l *Log) create() (segment, error) {
	header := make([]byte, headerSize)
	copy(header, magic)
	_, _ = rand.Read(header[len(magic):]) // never fails, by crypto/rand
	if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
		return segment{}, err
	}
	f, err := os.OpenFile(l.path(l.next), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return segment{}, err
	}
	_, err = f.Write(header)
	if err == nil && l.cfg.Sync {
		err = errors.Join(f.Sync(), syncDir(l.cfg.Dir), syncDir(filepath.Dir(l.cfg.Dir)))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return segment{}, errors.Join(err, os.Remove(l.path(l.next)))
	}
	l.seed = seedOf(header)
	return segment{l.next, headerSize}, nil
}

// syncDir makes the names in a directory survive a power cut.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readSeed reads the header of a segment; false means that it is none of ours.
func readSeed(f io.ReaderAt) (uint32, bool) {
	header := make([]byte, headerSize)
	if _, err := f.ReadAt(header, 0); err != nil || string(header[:len(magic)]) != magic {
		return 0, false
	}
	return seedOf(header), true
}

func seedOf(header []byte) uint32 { return crc32.Update(0, castagnoli(), header[len(magic):]) }

// load finds the segments that there are, and makes the newest fit to be appended to.
func (l *Log) load() error {
	l.next = 1
	entries, err := os.ReadDir(l.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries { // in order of number, for all have the same length
		number, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), suffix), 16, 64)
		if err != nil || e.Name() != l.name(number) {
			continue // not a segment
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		l.files = append(l.files, segment{number, info.Size()})
		l.next = number + 1
	}
	return l.mend()
}

// mend cuts off what is torn at the end of the newest segment. One that is torn as a
// whole is removed: it holds no record.
func (l *Log) mend() error {
	for n := len(l.files); n > 0; n = len(l.files) {
		s := &l.files[n-1]
		end, last, err := l.examine(s)
		if err != nil {
			return err
		}
		if end > headerSize {
			l.last = last
			if end < s.size {
				s.size = end
				return os.Truncate(l.path(s.number), end)
			}
			return nil
		}
		if err := os.Remove(l.path(s.number)); err != nil {
			return err
		}
		l.files = l.files[:n-1]
	}
	return nil
}

// examine finds the end of the last whole record of a segment, and its time, and takes
// over the seed.
func (l *Log) examine(s *segment) (end, last int64, err error) {
	f, err := os.Open(l.path(s.number))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() //nolint:errcheck // nothing is written
	seed, ok := readSeed(f)
	if !ok {
		return 0, 0, nil
	}
	l.seed = seed
	r := reader{window: window{f: f, limit: s.size}, seed: seed}
	if rec, ok, err := r.before(s.size); ok || err != nil {
		return s.size, rec.stamp, err
	}
	for at := headerSize; ; at = end {
		rec, ok, err := r.after(at)
		if !ok || err != nil {
			return max(end, headerSize), last, err
		}
		end, last = rec.end, rec.stamp
	}
}
