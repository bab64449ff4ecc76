package webapp

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
)

// websocket echoes messages (RFC 6455), enough of it for tests: no fragments, and
// at most 64 KiB each.
func (h *handler) websocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(w, "not a WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()                                                    //nolint:errcheck // nothing is lost
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 asks for it
	write(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	for stream.Flush() == nil {
		opcode, payload, err := readFrame(stream.Reader)
		if err != nil {
			return
		}
		switch opcode {
		case 0x9: // ping → pong
			opcode = 0xa
		case 0xa:
			continue
		}
		writeFrame(stream.Writer, opcode, payload)
		if opcode == 0x8 { // close, answered
			_ = stream.Flush() // the client may be gone
			return
		}
	}
}

func readFrame(r *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(r, long[:]); err != nil {
			return 0, nil, err
		}
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	if size == 127 {
		return 0, nil, io.ErrShortBuffer
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0] & 0x0f, payload, nil
}

func writeFrame(w *bufio.Writer, opcode byte, payload []byte) {
	head := []byte{0x80 | opcode, byte(len(payload))}
	if len(payload) > 125 {
		head = append(head[:1], 126, byte(len(payload)>>8), byte(len(payload))) //nolint:gosec // at most 65535
	}
	_, _ = w.Write(append(head, payload...)) // Flush tells
}
