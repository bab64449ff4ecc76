package docker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
)

// maxLine is the longest line that Logs yields in one piece, in bytes.
const maxLine = 64 << 10

// Logs yields what a container printed, oldest first. With Follow it goes on until
// the container ends, ctx ends or the loop is left. An error is the last thing it
// yields.
func (e *Engine) Logs(ctx context.Context, id string, opts engine.LogOptions) iter.Seq2[engine.LogLine, error] {
	return func(yield func(engine.LogLine, error) bool) {
		request := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: opts.Follow}
		if opts.Tail >= 0 {
			request.Tail = strconv.Itoa(opts.Tail)
		}
		if !opts.Since.IsZero() {
			request.Since = instant(opts.Since)
		}
		body, err := e.client.ContainerLogs(ctx, id, request)
		if err != nil {
			yield(engine.LogLine{}, e.fail(err, "read logs"))
			return
		}
		defer body.Close() //nolint:errcheck // nothing is written
		for line, err := range demultiplex(body) {
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(engine.LogLine{}, e.fail(err, "read logs"))
				return
			case !yield(line, nil):
				return
			}
		}
	}
}

// errFrame says that a log stream is not made of frames.
var errFrame = errors.New("the engine's log stream cannot be read")

// demultiplex yields the lines of the engine's log stream: frames of an 8-byte
// header (stream, three zero bytes, big-endian length) and that many bytes, which
// are one line, or a part of one, behind a timestamp and a space
// (https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach).
func demultiplex(r io.Reader) iter.Seq2[engine.LogLine, error] {
	return func(yield func(engine.LogLine, error) bool) {
		in := frameReader{in: r}  // not buffered: there may be a thousand of them, and most are silent
		var streams [2]lineBuffer // stdout, stderr
		streams[1].line.Stderr = true
		for {
			stream, size, err := in.next()
			if err != nil {
				if flushAll(&streams, yield) && !errors.Is(err, io.EOF) {
					yield(engine.LogLine{}, err)
				}
				return
			}
			for stamped := false; size > 0; stamped = true {
				text, err := in.read(size)
				size -= len(text)
				if !stamped {
					text = streams[stream].stamp(text)
				}
				if !streams[stream].append(text, yield) {
					return
				}
				if err != nil {
					break // and the next header tells
				}
			}
		}
	}
}

func flushAll(streams *[2]lineBuffer, yield func(engine.LogLine, error) bool) bool {
	for i := range streams {
		if !streams[i].flush(yield) {
			return false
		}
	}
	return true
}

// frameReader reads frames piece by piece.
type frameReader struct {
	in  io.Reader
	buf []byte
}

// next reads the header of a frame: which of the two streams it is of, and how long.
func (f *frameReader) next() (stream, size int, err error) {
	header := f.room(8)
	if _, err := io.ReadFull(f.in, header); err != nil {
		return 0, 0, err
	}
	if header[0] < 1 || header[0] > 2 {
		return 0, 0, errFrame
	}
	return int(header[0] - 1), int(binary.BigEndian.Uint32(header[4:])), nil
}

// The buffer is as large as it must be, within these.
const (
	leastBuffer = 512
	mostBuffer  = 32 << 10
)

// read reads up to n bytes, as many as fit.
func (f *frameReader) read(n int) ([]byte, error) {
	buf := f.room(min(n, mostBuffer))
	got, err := io.ReadFull(f.in, buf)
	return buf[:got], err
}

func (f *frameReader) room(n int) []byte {
	if cap(f.buf) < n {
		f.buf = make([]byte, max(n, leastBuffer))
	}
	return f.buf[:n]
}

// lineBuffer puts the lines of one stream together.
type lineBuffer struct {
	line engine.LogLine // of the line that has begun
	text []byte         // of it
	open bool           // a line has begun
}

// stamp takes the timestamp off text. It counts for a line that begins here; each
// further part of a long line has its own.
func (b *lineBuffer) stamp(text []byte) []byte {
	head, rest, ok := bytes.Cut(text, []byte(" "))
	t, err := time.Parse(time.RFC3339Nano, string(head))
	if !ok || err != nil {
		return text
	}
	if !b.open {
		b.line.Time = t
	}
	return rest
}

func (b *lineBuffer) append(text []byte, yield func(engine.LogLine, error) bool) bool {
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		if room := maxLine - len(b.text); len(line) > room {
			b.text, b.open = append(b.text, line[:room]...), true
			text = text[room:]
			if !b.split(yield) {
				return false
			}
			continue
		}
		b.text, b.open = append(b.text, line...), true
		text = rest
		if ended && !b.flush(yield) {
			return false
		}
	}
	return true
}

// split yields the part of a line that there is, which is as long as one may be, but
// for the beginning of a character at its end.
func (b *lineBuffer) split(yield func(engine.LogLine, error) bool) bool {
	whole := len(b.text) - begunRune(b.text)
	begun := string(b.text[whole:])
	b.text = b.text[:whole]
	if !b.flush(yield) {
		return false
	}
	b.text, b.open = append(b.text, begun...), begun != ""
	return true
}

// begunRune returns how many bytes at the end of text begin a character of UTF-8 that
// is not all there.
func begunRune(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// flush yields the line that has begun, if any.
func (b *lineBuffer) flush(yield func(engine.LogLine, error) bool) bool {
	if !b.open {
		return true
	}
	b.line.Text = string(bytes.TrimSuffix(b.text, []byte("\r")))
	b.text, b.open = b.text[:0], false
	if cap(b.text) > mostBuffer {
		b.text = nil // such lines are rare
	}
	return yield(b.line, nil)
}
