package logs

import (
	"encoding/binary"
	"time"
)

// place is how far a stream of a container has been taken: up to the nth line of a
// time. Lines may have the same time, to the nanosecond.
type place struct {
	at int64 // Unix nanoseconds; 0 means that nothing was taken
	n  int
}

// take moves the place behind a line.
func (p *place) take(at int64) {
	if at == p.at {
		p.n++
		return
	}
	p.at, p.n = at, 1
}

// cursor is how far a container has been taken. The engine keeps the times of each of
// the two streams in order, but not of both together.
type cursor struct{ out, err place }

func (c *cursor) stream(stderr bool) *place {
	if stderr {
		return &c.err
	}
	return &c.out
}

// slack is how much later than its time the engine may have written down a line.
const slack = 5 * time.Second

// since is from when on the engine has to be asked, so that nothing is missed.
func (c *cursor) since() time.Time {
	newest := max(c.out.at, c.err.at)
	if newest == 0 {
		return time.Time{}
	}
	return time.Unix(0, max(min(c.out.at, c.err.at), newest-int64(slack)))
}

// filter leaves out, of lines that are read again, those that were taken.
type filter struct {
	taken  cursor
	passed [2]bool // the stream has come to what is new
	seen   [2]int  // lines of the time of the place
}

// fresh reports whether a line has not been taken.
func (f *filter) fresh(at int64, stderr bool) bool {
	i := 0
	if stderr {
		i = 1
	}
	p := f.taken.stream(stderr)
	switch {
	case f.passed[i]:
		return true
	case at < p.at:
		return false
	case at == p.at:
		if f.seen[i]++; f.seen[i] <= p.n {
			return false
		}
	}
	f.passed[i] = true
	return true
}

// A checkpoint is a record of how far each container has been taken when it was
// written, so that this is known even if the last line of one has long had to go:
//
//	1 byte    kindCheckpoint
//	          and for each container and stream
//	8 bytes   key
//	1 byte    0 for standard output, 1 for standard error
//	8 bytes   time in Unix nanoseconds
//	uvarint   how many lines of that time
func appendCheckpoint(b []byte, cursors map[key]*cursor) []byte {
	b = append(b, kindCheckpoint)
	for k, c := range cursors {
		for i, p := range []place{c.out, c.err} {
			if p.at == 0 {
				continue
			}
			b = binary.LittleEndian.AppendUint64(b, uint64(k))
			b = append(b, byte(i))
			b = binary.LittleEndian.AppendUint64(b, uint64(p.at)) //nolint:gosec // the same bits
			b = binary.AppendUvarint(b, uint64(p.n))              //nolint:gosec // not negative
		}
	}
	return b
}

// recall puts together how far each container was taken, from the records of a log,
// which come to it the newest first.
type recall struct {
	cursors map[key]*cursor
}

func (r *recall) cursor(k key) *cursor {
	if r.cursors[k] == nil {
		r.cursors[k] = &cursor{}
	}
	return r.cursors[k]
}

// line takes a line into account.
func (r *recall) line(e *entry) {
	if e.container == 0 {
		return
	}
	r.add(e.container, e.line.Stderr, place{e.line.Time.UnixNano(), 1})
}

// add takes into account that a stream was taken up to p.
func (r *recall) add(k key, stderr bool, p place) {
	have := r.cursor(k).stream(stderr)
	switch {
	case have.at == 0:
		*have = p
	case have.at == p.at:
		have.n += p.n
	}
}

// checkpoint takes a checkpoint into account, before which nothing matters; false means
// that it is none.
func (r *recall) checkpoint(b []byte) bool {
	if len(b) == 0 || b[0] != kindCheckpoint {
		return false
	}
	for b = b[1:]; len(b) >= 18; {
		k, stderr := key(binary.LittleEndian.Uint64(b)), b[8] == 1
		at := int64(binary.LittleEndian.Uint64(b[9:])) //nolint:gosec // the same bits
		n, used := binary.Uvarint(b[17:])
		if used <= 0 {
			break
		}
		r.add(k, stderr, place{at, int(n)}) //nolint:gosec // as it was written
		b = b[17+used:]
	}
	return true
}
