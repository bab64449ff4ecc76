package logs

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// A record of a log is a line or a checkpoint. A line is
//
//	1 byte    kindLine
//	1 byte    source, and whether it went to standard error
//	8 bytes   time in Unix nanoseconds, little-endian
//	8 bytes   key of the container; of an app's lines only
//	uvarint   release
//	uvarint   number of the copy
//	1 byte    length of the name behind it: the process, or the kind of the event
//	          the name, and then the text
const (
	kindLine       = 'L'
	kindCheckpoint = 'C'
	fromApp        = 0
	fromRouter     = 1
	fromOctohost   = 2
	sourceBits     = 3
	stderrBit      = 4
	// maxName is the longest name in a line.
	maxName = 255
)

// key tells containers apart within a log.
type key uint64

func keyOf(container string) key {
	h := fnv.New64a()
	_, _ = h.Write([]byte(container)) // a hash never fails
	return key(h.Sum64())
}

// entry is a line as it is kept.
type entry struct {
	line      octo.LogLine
	container key
}

// appendLine adds a line as a record holds it.
func appendLine(b []byte, e *entry) []byte {
	source, name := byte(fromApp), string(e.line.Process)
	switch e.line.Source {
	case octo.LogRouter:
		source = fromRouter
	case octo.LogOctohost:
		source, name = fromOctohost, string(e.line.Event)
	case octo.LogApp:
	}
	flags := source
	if e.line.Stderr {
		flags |= stderrBit
	}
	b = append(b, kindLine, flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.line.Time.UnixNano())) //nolint:gosec // the same bits
	if source == fromApp {
		b = binary.LittleEndian.AppendUint64(b, uint64(e.container))
	}
	b = binary.AppendUvarint(b, uint64(max(0, e.line.Release)))            //nolint:gosec // not negative
	b = binary.AppendUvarint(b, uint64(max(0, e.line.Instance.Ordinal()))) //nolint:gosec // not negative
	name = name[:min(len(name), maxName)]
	b = append(b, byte(len(name)))
	b = append(b, name...)
	return append(b, e.line.Text...)
}

// readLine reads what appendLine has made for a log of an app; false means that it is
// something else.
func readLine(b []byte, app octo.Name) (e entry, ok bool) {
	if len(b) < 10 || b[0] != kindLine {
		return e, false
	}
	flags := b[1]
	e.line = octo.LogLine{App: app, Stderr: flags&stderrBit != 0}
	e.line.Time = time.Unix(0, int64(binary.LittleEndian.Uint64(b[2:]))).UTC() //nolint:gosec // the same bits
	b = b[10:]
	if flags&sourceBits == fromApp {
		if len(b) < 8 {
			return e, false
		}
		e.container, b = key(binary.LittleEndian.Uint64(b)), b[8:]
	}
	release, n := binary.Uvarint(b)
	if n <= 0 {
		return e, false
	}
	number, m := binary.Uvarint(b[n:])
	if m <= 0 || len(b) < n+m+1 || len(b) < n+m+1+int(b[n+m]) {
		return e, false
	}
	b = b[n+m:]
	name, text := string(b[1:1+b[0]]), b[1+b[0]:]
	e.line.Release, e.line.Text = int(release), string(text) //nolint:gosec // as it was written
	e.speaks(flags&sourceBits, name, int(number))            //nolint:gosec // as it was written
	return e, true
}

// speaks says who said it.
func (e *entry) speaks(source byte, name string, number int) {
	l := &e.line
	switch source {
	case fromOctohost:
		l.Source, l.Event = octo.LogOctohost, octo.EventKind(name)
		return
	case fromRouter:
		l.Source = octo.LogRouter
	default:
		l.Source = octo.LogApp
	}
	l.Process = octo.Name(name)
	if number > 0 {
		l.Instance = octo.NewInstanceID(l.App, l.Process, l.Release, number)
	}
}
