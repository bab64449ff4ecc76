package ring

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Position is a place between two records. The zero value is the beginning of a log.
type Position struct {
	segment uint64
	offset  int64
}

// Record is one record as it is read.
type Record struct {
	Time time.Time // when it was appended
	Data []byte    // until the next step of the loop
	At   Position  // its place: Forward(At) begins with it

	// Gap says that records are missing before it (after it, when read backwards): they
	// had to go, or are damaged.
	Gap bool
}

// End returns the place behind the newest record.
func (l *Log) End() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.files); n > 0 {
		return Position{l.files[n-1].number, l.files[n-1].size}
	}
	return Position{l.next, headerSize}
}

// Forward yields the records from a place up to the newest, the oldest first. An error
// is the last thing it yields.
func (l *Log) Forward(from Position) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { l.forward(&from, yield) }
}

// Follow is Forward, and then goes on with what is appended, until ctx is done; after
// that it ends without an error. ErrRemoved says that the log has been removed.
func (l *Log) Follow(ctx context.Context, from Position) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			more, changed := l.wait(from)
			switch {
			case more:
			case changed == nil:
				yield(Record{}, ErrRemoved)
				return
			default:
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
			}
			if ctx.Err() != nil || !l.forward(&from, yield) {
				return
			}
		}
	}
}

// wait reports whether there is anything behind a place, or returns a channel that is
// closed when there may be; neither, when the log was removed.
func (l *Log) wait(from Position) (more bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return false, nil
	}
	if n := len(l.files); n > 0 {
		last := l.files[n-1]
		if last.number > from.segment || last.number == from.segment && last.size > max(from.offset, headerSize) {
			return true, nil
		}
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return false, l.changed
}

// forward yields what there is from a place on, which it moves. It reports false when
// it was told to end, or had to.
func (l *Log) forward(from *Position, yield func(Record, error) bool) bool {
	gap := false
	for {
		s, newest := l.segmentFrom(from.segment)
		switch {
		case s == segment{}:
			return true
		case s.number != from.segment:
			gap = gap || from.segment != 0
			*from = Position{s.number, headerSize}
		}
		from.offset = max(from.offset, headerSize)
		if !l.forwardIn(s, from, &gap, yield) {
			return false
		}
		if newest {
			return true
		}
		if next, _ := l.segmentFrom(s.number + 1); next != (segment{}) {
			*from = Position{next.number, headerSize}
		}
	}
}

// segmentFrom returns the segment of a number or, where there is none, the next one,
// and whether it is the newest.
func (l *Log) segmentFrom(number uint64) (s segment, newest bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.files {
		if s.number >= number {
			return s, i == len(l.files)-1
		}
	}
	return segment{}, true
}

// forwardIn yields what a segment has from a place on, which it moves.
func (l *Log) forwardIn(s segment, from *Position, gap *bool, yield func(Record, error) bool) bool {
	r, done, err := l.openSegment(s)
	if err != nil {
		yield(Record{}, err)
		return false
	}
	defer done()
	for r != nil && from.offset < s.size {
		rec, ok, err := r.after(from.offset)
		switch {
		case err != nil:
			yield(Record{}, err)
			return false
		case !ok:
			*gap = true
			from.offset = s.size
			return true
		}
		out := rec.record(s.number)
		out.Gap = *gap || rec.start != from.offset
		from.offset, *gap = rec.end, false
		if !yield(out, nil) {
			return false
		}
	}
	*gap = *gap || r == nil
	from.offset = max(from.offset, s.size)
	return true
}

// Backward yields the records before a place, the newest first. An error is the last
// thing it yields.
func (l *Log) Backward(from Position) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		l.mu.Lock()
		files := slices.Clone(l.files)
		l.mu.Unlock()
		gap := false
		for _, s := range slices.Backward(files) {
			if s.number > from.segment {
				continue
			}
			if s.number == from.segment {
				s.size = min(s.size, from.offset)
			}
			if !l.backwardIn(s, &gap, yield) {
				return
			}
		}
	}
}

func (l *Log) backwardIn(s segment, gap *bool, yield func(Record, error) bool) bool {
	r, done, err := l.openSegment(s)
	if err != nil {
		yield(Record{}, err)
		return false
	}
	defer done()
	if r == nil {
		*gap = true
		return true
	}
	give := func(rec found) bool {
		out := rec.record(s.number)
		out.Gap, *gap = *gap, false
		return yield(out, nil)
	}
	at := s.size
	for at > headerSize {
		rec, ok, err := r.before(at)
		if err != nil {
			yield(Record{}, err)
			return false
		}
		if !ok {
			break // damaged: only from the front can be told what is before
		}
		if !give(rec) {
			return false
		}
		at = rec.start
	}
	return at <= headerSize || r.backwardDamaged(at, gap, give)
}

// Seek returns the place of the oldest record that is not older than t; the end where
// there is none.
func (l *Log) Seek(t time.Time) (Position, error) {
	l.mu.Lock()
	files := slices.Clone(l.files)
	l.mu.Unlock()
	from := Position{}
	for _, s := range slices.Backward(files) { // the newest whose first record is older
		first, ok, err := l.first(s)
		if err != nil {
			return Position{}, err
		}
		if ok && first < t.UnixNano() {
			from = Position{s.number, headerSize}
			break
		}
	}
	for r, err := range l.Forward(from) {
		if err != nil {
			return Position{}, err
		}
		if !r.Time.Before(t) {
			return r.At, nil
		}
	}
	return l.End(), nil
}

// first returns the time of a segment's first record.
func (l *Log) first(s segment) (int64, bool, error) {
	r, done, err := l.openSegment(s)
	if err != nil {
		return 0, false, err
	}
	defer done()
	if r == nil {
		return 0, false, nil
	}
	rec, ok, err := r.after(headerSize)
	return rec.stamp, ok, err
}
