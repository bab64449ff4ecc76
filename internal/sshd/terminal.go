package sshd

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// crlf makes the line ends that a terminal in raw mode wants: there is no terminal
// driver on our side that would.
type crlf struct {
	w   io.Writer
	raw *atomic.Bool // set: there is one on the other side; nil: never
}

// Write writes b with each line feed preceded by a carriage return.
func (c crlf) Write(b []byte) (int, error) {
	if c.raw != nil && c.raw.Load() {
		return c.w.Write(b)
	}
	if _, err := c.w.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// The keys that a keyboard does not pass on.
const (
	keyInterrupt = 3 // Ctrl-C
	keyEnd       = 4 // Ctrl-D
	keyErase     = 0x7f
)

// maxTyped is how much may be typed ahead, in bytes.
const maxTyped = 4096

// keyboard is what a terminal driver makes of a client's keys: lines that are echoed,
// can be mended until return is pressed, and wait until they are read.
type keyboard struct {
	echo      io.Writer
	interrupt func()

	mu    sync.Mutex
	more  sync.Cond
	line  []byte // being typed
	typed []byte // ready to be read
	ended bool
	raw   bool // keys are passed on as they are; they wait in the client when nobody reads
}

func newKeyboard(echo io.Writer, interrupt func()) *keyboard {
	k := &keyboard{echo: echo, interrupt: interrupt}
	k.more.L = &k.mu
	return k
}

// read takes keys until their source ends.
func (k *keyboard) read(from io.Reader) {
	buf := make([]byte, 1024)
	for {
		n, err := from.Read(buf)
		for _, key := range buf[k.passOn(buf[:n]):n] {
			k.press(key)
		}
		if err != nil {
			k.press(keyEnd)
			return
		}
	}
}

// setRaw begins or ends to pass keys on as they are.
func (k *keyboard) setRaw(raw bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.raw = raw
	k.more.Broadcast()
}

// close ends every Read and every wait.
func (k *keyboard) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended, k.raw = true, false
	k.more.Broadcast()
}

// passOn passes raw keys on as soon as there is room, and returns how many they were.
func (k *keyboard) passOn(keys []byte) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.raw && len(k.typed) >= maxTyped {
		k.more.Wait()
	}
	if !k.raw {
		return 0
	}
	k.typed = append(k.typed, keys...)
	k.more.Broadcast()
	return len(keys)
}

// press takes one key.
func (k *keyboard) press(key byte) {
	if key == keyInterrupt {
		k.interrupt()
		return
	}
	if echo := k.take(key); echo != "" {
		_, _ = io.WriteString(k.echo, echo) // the client may have left
	}
}

// take puts one key where it belongs, and returns what the person is to see of it.
func (k *keyboard) take(key byte) (echo string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.more.Broadcast()
	switch {
	case key == keyEnd:
		k.typed, k.line, k.ended = append(k.typed, k.line...), nil, true
	case key == keyErase && len(k.line) > 0:
		k.line = k.line[:len(k.line)-1]
		return "\b \b"
	case key == '\r', key == '\n':
		k.typed, k.line = append(append(k.typed, k.line...), '\n'), nil
		return "\n"
	case key >= ' ' && key != keyErase && len(k.typed)+len(k.line) < maxTyped:
		k.line = append(k.line, key)
		return string([]byte{key})
	}
	return ""
}

// Read returns lines that have been typed, and io.EOF after Ctrl-D.
func (k *keyboard) Read(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.typed) == 0 && !k.ended {
		k.more.Wait()
	}
	if len(k.typed) == 0 {
		return 0, io.EOF
	}
	n := copy(b, k.typed)
	k.typed = append(k.typed[:0], k.typed[n:]...)
	k.more.Broadcast() // there is room
	return n, nil
}
