package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"strconv"
	"time"

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
		in := bufio.NewReaderSize(r, 32<<10)
		var streams [2]lineBuffer // stdout, stderr
		streams[1].line.Stderr = true
		for {
			var header [8]byte
			if _, err := io.ReadFull(in, header[:]); err != nil {
				if flushAll(&streams, yield) && !errors.Is(err, io.EOF) {
					yield(engine.LogLine{}, err)
				}
				return
			}
			if header[0] < 1 || header[0] > 2 {
				yield(engine.LogLine{}, errFrame)
				return
			}
			frame := io.LimitReader(in, int64(binary.BigEndian.Uint32(header[4:])))
			if !streams[header[0]-1].read(frame, yield) {
				return
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

// lineBuffer puts the lines of one stream together.
type lineBuffer struct {
	line engine.LogLine // of the line that has begun
	text []byte
	open bool // a line has begun
}

// read takes the content of one frame. It reports whether to go on.
func (b *lineBuffer) read(frame io.Reader, yield func(engine.LogLine, error) bool) bool {
	stamped := false // the timestamp of this frame has been taken off
	var chunk [16 << 10]byte
	for {
		n, err := io.ReadFull(frame, chunk[:])
		text := chunk[:n]
		if !stamped {
			text = b.stamp(text)
			stamped = true
		}
		if !b.append(text, yield) {
			return false
		}
		if err != nil { // the end of the frame; of the stream, the next header tells
			return true
		}
	}
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
		b.open = true
		if room := maxLine - len(b.text); len(line) > room {
			b.text = append(b.text, line[:room]...)
			text = text[room:]
			ended = true // as far as the reader is concerned
		} else {
			b.text = append(b.text, line...)
			text = rest
		}
		if ended && !b.flush(yield) {
			return false
		}
	}
	return true
}

// flush yields the line that has begun, if any.
func (b *lineBuffer) flush(yield func(engine.LogLine, error) bool) bool {
	if !b.open {
		return true
	}
	b.line.Text = string(bytes.TrimSuffix(b.text, []byte("\r")))
	b.text, b.open = b.text[:0], false
	return yield(b.line, nil)
}
