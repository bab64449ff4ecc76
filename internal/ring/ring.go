// Package ring keeps records on disk, in the order in which they came, within a
// bound: when a log is full, its oldest part goes. What an app prints is kept in
// one, and so is the audit trail.
//
//	log, err := ring.Open(ring.Config{Dir: "DATA/audit", Max: 50 << 20, Sync: true})
//	err = log.Append(time.Now(), record)              // on disk when it returns, by Sync
//	for r, err := range log.Backward() { … }          // the newest first: the last n
//	for r, err := range log.Forward(log.Seek(t)) { … } // the oldest first, from a time on
//	for r, err := range log.Follow(ctx, log.End()) { … } // what comes, without polling
//
// One process has a log open at a time; within it, any number of goroutines may
// append and read. A log is made of segments, files that are only ever appended to.
// Nothing of it stays open or in memory but a few words about each segment, so that a
// thousand logs cost next to nothing.
//
// A record that Append has acknowledged survives the death of the process. Without
// Sync it may be lost when the machine loses power within the time that the kernel
// takes to write (about 30 s); with Sync it is not. What is torn is never taken for a
// record, and never hides one that is whole.
package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// MaxRecord is the largest record that a log takes, in bytes.
const MaxRecord = 1 << 20

// MinMax is the smallest bound of a log, in bytes; a smaller one is raised to it.
const MinMax = 64 << 10

// segments is how many files a full log has: one of so many parts goes at a time.
const segments = 8

// Config is what a Log needs.
type Config struct {
	Dir  string // made for the first record, for this user only; belongs to the log alone
	Max  int64  // bytes of all files together
	Sync bool   // Append returns when the disk has it

	// Full is asked before the log grows by a file; true means that there is no room on
	// the disk, and the oldest file goes even if the log has not reached Max. May be nil.
	Full func() bool
}

// Log is a bounded sequence of records.
type Log struct {
	cfg  Config
	part int64 // the largest size of a segment, but for a record that is larger

	mu      sync.Mutex
	files   []segment // ascending; the last one is appended to
	seed    uint32    // of the last one's checksums
	last    int64     // time of the newest record, Unix nanoseconds
	next    uint64    // number of the next file
	removed bool
	changed chan struct{} // closed at the next append; nil while nobody waits
	buf     []byte
}

// ErrRemoved says that the log has been removed.
var ErrRemoved = errors.New("the log was removed")

// Open opens the log in a directory; there need not be one yet. What a crash has torn
// is cut off.
func Open(cfg Config) (*Log, error) {
	cfg.Max = max(cfg.Max, MinMax)
	l := &Log{cfg: cfg, part: cfg.Max / segments}
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", cfg.Dir, err)
	}
	return l, nil
}

// Append adds records, all at the same time. Times never go back: at is raised to that
// of the newest record. After an error the log may hold some of the records, whole and
// in order, or none. A record larger than MaxRecord is refused with octo.ErrInvalid,
// and with it all others.
func (l *Log) Append(at time.Time, records ...[]byte) error {
	for _, r := range records {
		if len(r) > MaxRecord {
			return octo.Errorf(octo.ErrInvalid, "a record of %d bytes is too large: at most %d", len(r), MaxRecord)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return ErrRemoved
	}
	stamp := max(at.UnixNano(), l.last)
	for len(records) > 0 {
		n, err := l.appendSome(stamp, records)
		if err != nil {
			return fmt.Errorf("append to log %s: %w", l.cfg.Dir, err)
		}
		records = records[n:]
	}
	l.announce()
	return nil
}

// maxKept is the largest buffer that is kept for the next batch.
const maxKept = 64 << 10

// appendSome writes as many of the records as the newest segment takes, at least one,
// and returns how many that were.
func (l *Log) appendSome(stamp int64, records [][]byte) (int, error) {
	if err := l.roll(sizeOf(records[0])); err != nil {
		return 0, err
	}
	s := &l.files[len(l.files)-1]
	b, n := l.buf[:0], 0
	for n < len(records) && (n == 0 || s.size+int64(len(b))+sizeOf(records[n]) <= l.part) {
		b = appendRecord(b, l.seed, stamp, records[n])
		n++
	}
	if cap(b) <= maxKept {
		l.buf = b
	}
	if err := l.write(s, b); err != nil {
		return 0, err
	}
	s.size += int64(len(b))
	l.last = stamp
	return n, nil
}

// write puts b at the end of a segment. What was written of it before an error is
// cut off, or overwritten by what comes next.
func (l *Log) write(s *segment, b []byte) error {
	f, err := os.OpenFile(l.path(s.number), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		l.files = l.files[:len(l.files)-1] // somebody removed it: the next append makes another
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, s.size)
	if err == nil && l.cfg.Sync {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(s.size))
	}
	return errors.Join(err, f.Close())
}

// roll begins another segment where the newest has no room for a record, or there is
// none, and removes the oldest beyond the bound.
func (l *Log) roll(need int64) error {
	n := len(l.files)
	if n > 0 && l.files[n-1].size+need <= l.part {
		return nil
	}
	room := l.cfg.Max - max(l.part, headerSize+need)
	for removed := false; len(l.files) > 0; removed = true {
		if l.size() <= room && (removed || len(l.files) == 1 || !l.full()) {
			break
		}
		if err := l.removeOldest(); err != nil {
			return err
		}
	}
	s, err := l.create()
	if err != nil {
		return err
	}
	l.next++
	l.files = append(l.files, s)
	return nil
}

func (l *Log) removeOldest() error {
	if err := os.Remove(l.path(l.files[0].number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.files = l.files[1:]
	return nil
}

func (l *Log) full() bool { return l.cfg.Full != nil && l.cfg.Full() }

// size returns how many bytes the files have together.
func (l *Log) size() (sum int64) {
	for _, s := range l.files {
		sum += s.size
	}
	return sum
}

// Size returns how many bytes the log has on disk.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size()
}

// announce wakes whoever waits for what comes.
func (l *Log) announce() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Remove removes the log with all that is in it. Whoever reads it comes to an end, and
// Append fails with ErrRemoved; another log may then be opened in its place.
func (l *Log) Remove() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removed = true
	l.files = nil
	l.announce()
	if err := os.RemoveAll(l.cfg.Dir); err != nil {
		return fmt.Errorf("remove log: %w", err)
	}
	return nil
}

func (l *Log) path(number uint64) string { return filepath.Join(l.cfg.Dir, l.name(number)) }

func (l *Log) name(number uint64) string {
	return fmt.Sprintf("%016x%s", number, suffix)
}
