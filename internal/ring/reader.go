package ring

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// found is a record in a segment.
type found struct {
	start, end int64
	stamp      int64
	data       []byte
}

func (f found) record(number uint64) Record {
	return Record{Time: time.Unix(0, f.stamp).UTC(), Data: f.data, At: Position{number, f.start}}
}

// reader finds the records of one segment.
type reader struct {
	window
	seed uint32
}

// at returns the record that begins at a place, if there is a whole one.
func (r *reader) at(start int64) (rec found, ok bool, err error) {
	head, err := r.bytes(start, headSize)
	if head == nil || err != nil {
		return rec, false, err
	}
	size := int64(binary.LittleEndian.Uint32(head))
	if size > MaxRecord {
		return rec, false, nil
	}
	all, err := r.bytes(start, headSize+size+tailSize)
	if all == nil || err != nil {
		return rec, false, err
	}
	data := all[headSize : headSize+size : headSize+size]
	if int64(binary.LittleEndian.Uint32(all[headSize+size:])) != size ||
		binary.LittleEndian.Uint32(all[4:]) != checksum(r.seed, all[8:headSize], data) {
		return rec, false, nil
	}
	stamp := int64(binary.LittleEndian.Uint64(all[8:])) //nolint:gosec // the same bits
	return found{start: start, end: start + int64(len(all)), stamp: stamp, data: data}, true, nil
}

// after returns the first record that begins at a place or behind it.
func (r *reader) after(start int64) (found, bool, error) {
	for ; start+headSize+tailSize <= r.limit; start++ {
		if rec, ok, err := r.at(start); ok || err != nil {
			return rec, ok, err
		}
	}
	return found{}, false, nil
}

// before returns the record that ends at a place, if there is a whole one.
func (r *reader) before(end int64) (rec found, ok bool, err error) {
	if end < headerSize+headSize+tailSize {
		return rec, false, nil
	}
	r.preload(end)
	tail, err := r.bytes(end-tailSize, tailSize)
	if tail == nil || err != nil {
		return rec, false, err
	}
	size := int64(binary.LittleEndian.Uint32(tail))
	start := end - tailSize - size - headSize
	if size > MaxRecord || start < headerSize {
		return rec, false, nil
	}
	rec, ok, err = r.at(start)
	return rec, ok && rec.end == end, err
}

// backwardDamaged gives what is whole before a place, where the record that ended there
// is not.
func (r *reader) backwardDamaged(end int64, gap *bool, give func(found) bool) bool {
	*gap = true
	var starts []int64
	whole := reader{window: window{f: r.f, limit: end}, seed: r.seed}
	for at := headerSize; ; {
		rec, ok, err := whole.after(at)
		if err != nil || !ok {
			break // it is damaged anyway
		}
		starts = append(starts, rec.start)
		at = rec.end
	}
	for _, start := range slices.Backward(starts) {
		rec, ok, err := whole.at(start)
		if err == nil && ok && !give(rec) {
			return false
		}
	}
	return true
}

// chunk is how much is read at a time, in bytes.
const chunk = 64 << 10

// window shows a part of a file at a time.
type window struct {
	f     io.ReaderAt
	limit int64 // what is behind is not looked at
	start int64
	buf   []byte
}

// bytes returns n bytes from a place on; nil when the file does not have them.
func (w *window) bytes(at, n int64) ([]byte, error) {
	if at < 0 || at+n > w.limit {
		return nil, nil
	}
	if at < w.start || at+n > w.start+int64(len(w.buf)) {
		if err := w.load(at, min(max(n, chunk), w.limit-at)); err != nil {
			return nil, err
		}
	}
	return w.buf[at-w.start:][:n], nil
}

// preload makes the window show what is before a place.
func (w *window) preload(end int64) {
	if end-tailSize < w.start || end > w.start+int64(len(w.buf)) {
		start := max(0, end-chunk)
		_ = w.load(start, end-start) // an error comes again when the bytes are asked for
	}
}

func (w *window) load(at, n int64) error {
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, max(n, min(chunk, w.limit)))
	}
	w.start, w.buf = at, w.buf[:n]
	if _, err := w.f.ReadAt(w.buf, at); err != nil {
		w.buf = w.buf[:0]
		return err
	}
	return nil
}

// openSegment opens a segment for reading; a nil reader means that there is nothing to
// read: it has just been removed, or is none of ours.
func (l *Log) openSegment(s segment) (r *reader, done func(), err error) {
	f, err := os.Open(l.path(s.number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = f.Close() } // nothing is written
	seed, ok := readSeed(f)
	if !ok {
		return nil, done, nil
	}
	return &reader{window: window{f: f, limit: s.size}, seed: seed}, done, nil
}
