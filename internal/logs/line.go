package logs

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
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
//	1 byte    length of the name behind it: the process, or the kind of the event
//	1 byte    length of what tells copies of the process apart, which is behind that: "1"
//	          the text
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
	b = binary.AppendUvarint(b, uint64(max(0, e.line.Release))) //nolint:gosec // not negative
	b = appendName(b, name)
	b = appendName(b, e.line.Instance.Copy())
	return append(b, e.line.Text...)
}

func appendName(b []byte, name string) []byte {
	name = name[:min(len(name), maxName)]
	return append(append(b, byte(len(name))), name...)
}

// cutName takes off what appendName has added.
func cutName(b []byte) (name, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	return b[1 : 1+b[0]], b[1+b[0]:], true
}

// record is a line as it stands in a log. Most of those that are read are not what is
// looked for: nothing of them is copied.
type record struct {
	source       byte
	stderr       bool
	at           int64
	container    key
	release      int
	name, copied []byte
	text         []byte
}

// parse reads what appendLine has made; false means that it is something else.
func parse(b []byte) (r record, ok bool) {
	if len(b) < 10 || b[0] != kindLine {
		return r, false
	}
	r.source, r.stderr = b[1]&sourceBits, b[1]&stderrBit != 0
	r.at, b = int64(binary.LittleEndian.Uint64(b[2:])), b[10:] //nolint:gosec // the same bits
	if r.source == fromApp {
		if len(b) < 8 {
			return r, false
		}
		r.container, b = key(binary.LittleEndian.Uint64(b)), b[8:]
	}
	release, n := binary.Uvarint(b)
	if n <= 0 {
		return r, false
	}
	r.release = int(release) //nolint:gosec // as it was written
	if r.name, b, ok = cutName(b[n:]); !ok {
		return r, false
	}
	r.copied, r.text, ok = cutName(b)
	return r, ok
}

// readLine reads what appendLine has made for a log of an app; false means that it is
// something else.
func readLine(b []byte, app octo.Name) (entry, bool) {
	r, ok := parse(b)
	if !ok {
		return entry{}, false
	}
	return r.entry(app), true
}

// entry returns the line for itself.
func (r *record) entry(app octo.Name) entry {
	e := entry{container: r.container, line: octo.LogLine{
		Time: time.Unix(0, r.at).UTC(), App: app, Release: r.release, Stderr: r.stderr, Text: string(r.text),
	}}
	e.speaks(r.source, string(r.name), string(r.copied))
	return e
}

// speaks says who said it.
func (e *entry) speaks(source byte, name, copied string) {
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
	if n, err := strconv.Atoi(copied); err == nil && n > 0 {
		l.Instance = octo.NewInstanceID(l.App, l.Process, l.Release, n)
	} else if copied != "" {
		l.Instance = octo.InstanceID(string(l.App) + "." + name + "." + copied)
	}
}
