package docker

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
)

// frame makes a frame of the engine's log stream.
func frame(stream byte, text string) string {
	header := [8]byte{stream}
	binary.BigEndian.PutUint32(header[4:], uint32(len(text))) //nolint:gosec // short
	return string(header[:]) + text
}

const stamp = "2026-11-22T17:38:58.123456789Z "

func TestDemultiplex(t *testing.T) {
	at := time.Date(2026, 11, 22, 17, 38, 58, 123456789, time.UTC)
	long := strings.Repeat("x", 50<<10)
	for name, c := range map[string]struct {
		stream string
		want   []engine.LogLine
	}{
		"empty":       {"", nil},
		"two streams": {frame(1, stamp+"out\n") + frame(2, stamp+"err\n"), []engine.LogLine{{Time: at, Text: "out"}, {Time: at, Stderr: true, Text: "err"}}},
		"empty line":  {frame(1, stamp+"\n"), []engine.LogLine{{Time: at}}},
		"carriage":    {frame(1, stamp+"dos\r\n"), []engine.LogLine{{Time: at, Text: "dos"}}},
		"no newline":  {frame(1, stamp+"last words"), []engine.LogLine{{Time: at, Text: "last words"}}},
		"no stamp":    {frame(1, "plain text\n"), []engine.LogLine{{Text: "plain text"}}},
		"parts": {
			frame(1, stamp+"one ") + frame(2, stamp+"between\n") + frame(1, "2026-11-22T17:39:00Z two\n"),
			[]engine.LogLine{{Time: at, Stderr: true, Text: "between"}, {Time: at, Text: "one two"}},
		},
		"too long": {
			frame(1, stamp+long) + frame(1, stamp+long+"\n"),
			[]engine.LogLine{{Time: at, Text: long + long[:14<<10]}, {Time: at, Text: long[:36<<10]}},
		},
		"too long, in the middle of a character": {
			frame(1, stamp+long[:maxLine-50<<10]+long[:50<<10-1]+"é\n"),
			[]engine.LogLine{{Time: at, Text: strings.Repeat("x", maxLine-1)}, {Time: at, Text: "é"}},
		},
		"exactly": {
			frame(1, stamp+strings.Repeat("x", maxLine)) + frame(1, stamp+"\n") + frame(1, stamp+"next\n"),
			[]engine.LogLine{{Time: at, Text: strings.Repeat("x", maxLine)}, {Time: at, Text: "next"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.stream), iotest.OneByteReader(strings.NewReader(c.stream))} {
				var got []engine.LogLine
				for line, err := range demultiplex(r) {
					require.NoError(t, err)
					got = append(got, line)
				}
				require.Equal(t, c.want, got)
			}
		})
	}
}

func TestDemultiplex_TellsBrokenStreams(t *testing.T) {
	for _, stream := range []string{"\x03\x00\x00\x00\x00\x00\x00\x01x", "\x01\x00\x00"} {
		var last error
		for _, err := range demultiplex(strings.NewReader(stream)) {
			last = err
		}
		require.Error(t, last)
	}
}

func FuzzDemultiplex(f *testing.F) {
	f.Add([]byte(frame(1, stamp+"out\n") + frame(2, "err")))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x', '\n'})
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(r io.Reader) (lines []engine.LogLine) {
			for line, err := range demultiplex(r) {
				if err != nil {
					break
				}
				if len(line.Text) > maxLine || strings.Contains(line.Text, "\n") {
					t.Fatalf("line of %d bytes", len(line.Text))
				}
				lines = append(lines, line)
			}
			return lines
		}
		require.Equal(t, read(bytes.NewReader(data)), read(iotest.HalfReader(bytes.NewReader(data))), "however it arrives")
	})
}
