package api

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/octohost/octohost/internal/octo"
)

// Somebody who is attached to a program exchanges messages with the server: the body
// of the request is a stream of them, and so is that of the answer, at the same time.
// A message is a byte that says what it is, four with the length of its content,
// big-endian, and the content.
//
// Input is sent only as far as the server has room for it, which is maxWindow bytes at
// first, and what it says it has passed on. So it reads at any time, and signals are
// not held up by input that nobody takes.

// messageKind says what a message is.
type messageKind byte

// The kinds of message.
const (
	msgProgram messageKind = 'p' // from the client, first: a programRequest
	msgInput   messageKind = 'i' // from the client: bytes
	msgEnd     messageKind = 'e' // from the client: no more input comes
	msgControl messageKind = 'c' // from the client: an octo.Control

	msgBegan  messageKind = 'b' // from the server, first: an octo.Run
	msgOutput messageKind = 'o' // from the server: bytes
	msgErrors messageKind = 'r' // from the server: bytes of standard error
	msgTaken  messageKind = 't' // from the server: how many bytes of input were passed on, as uint32
	msgExit   messageKind = 'x' // from the server, last: an octo.Exit
	msgFailed messageKind = 'f' // from the server, last: a wireError
)

// The limits of messages, in bytes.
const (
	maxChunk   = 32 << 10  // of input or output in one message
	maxWindow  = 256 << 10 // of input that was sent and not passed on yet
	maxProgram = 1 << 20   // of any other content
)

// attachType is the media type of a stream of messages.
const attachType = "application/vnd.octohost.attach"

// errMessage says that a stream is not one of messages.
var errMessage = errors.New("the stream of messages cannot be read")

// message is one of them.
type message struct {
	kind    messageKind
	content []byte
}

// put appends the message to b.
func (m message) put(b []byte) []byte {
	b = append(b, byte(m.kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.content))) //nolint:gosec // bounded by those who make them
	return append(b, m.content...)
}

// messageOf returns a message whose content is v in JSON.
func messageOf(kind messageKind, v any) (message, error) {
	content, err := json.Marshal(v)
	return message{kind, content}, err
}

// decode reads the content as JSON into v.
func (m message) decode(v any) error {
	if err := json.Unmarshal(m.content, v); err != nil {
		return octo.Errorf(octo.ErrInvalid, "a message cannot be read: %v", err)
	}
	return nil
}

// messageReader reads messages.
type messageReader struct {
	from   io.Reader
	buffer []byte
}

// next returns the next message, whose content is valid until the one after it.
// io.EOF is the end between two messages.
func (r *messageReader) next() (message, error) {
	var header [5]byte
	if _, err := io.ReadFull(r.from, header[:]); err != nil {
		return message{}, err
	}
	m := message{kind: messageKind(header[0])}
	n, most := int(binary.BigEndian.Uint32(header[1:])), m.kind.most()
	if n > most {
		return m, fmt.Errorf("%w: %d bytes of kind %q", errMessage, n, header[0])
	}
	if cap(r.buffer) < n {
		r.buffer = make([]byte, max(n, maxChunk))
	}
	m.content = r.buffer[:n]
	if _, err := io.ReadFull(r.from, m.content); err != nil {
		return m, io.ErrUnexpectedEOF
	}
	return m, nil
}

// most returns how long the content may be; -1 where there is no such kind.
func (k messageKind) most() int {
	switch k {
	case msgInput, msgOutput, msgErrors:
		return maxChunk
	case msgTaken:
		return 4
	case msgEnd:
		return 0
	case msgProgram, msgControl, msgBegan, msgExit, msgFailed:
		return maxProgram
	}
	return -1
}
