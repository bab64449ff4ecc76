package api

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// attach asks for a program and stays connected with it until it has ended.
func (c *Client) attach(ctx context.Context, path string, want programRequest, at octo.Attachment) (octo.Exit, error) {
	want.Input = at.In != nil
	up := newUplink(at)
	linked, unlink := untilOver(ctx, func() { _ = up.body.Close() }) // a pipe closes without error
	defer unlink()
	req, err := c.request(linked, http.MethodPost, path, nil)
	if err != nil {
		return octo.Exit{}, err
	}
	req.Body = up.body
	req.Header.Set("Content-Type", attachType)
	up.start(want)
	defer up.stop()
	resp, err := c.http.Do(req)
	if errors.Is(err, io.ErrClosedPipe) && ctx.Err() == nil { // see above
		return octo.Exit{}, octo.Errorf(octo.ErrUnavailable, "the connection to octohost ended before it answered").WithHint("is octo serve running? See: octo doctor")
	}
	if err != nil {
		return octo.Exit{}, explain(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	defer up.stop()         // before: an answer may be waited for that follows from its end
	if resp.StatusCode != http.StatusOK {
		return octo.Exit{}, readError(resp)
	}
	exit, err := up.follow(resp.Body)
	if err != nil {
		return exit, ended(ctx, err)
	}
	return exit, nil
}

// uplink is the client's end of an attachment.
type uplink struct {
	at     octo.Attachment
	body   *io.PipeReader // of the request
	stream *io.PipeWriter
	over   chan struct{} // closed by stop
	once   sync.Once
	send   sync.WaitGroup

	mu     sync.Mutex
	credit int           // bytes of input that the server has room for
	room   chan struct{} // has an element when there is more
}

func newUplink(at octo.Attachment) *uplink {
	u := &uplink{at: at, over: make(chan struct{}), credit: maxWindow, room: make(chan struct{}, 1)}
	u.body, u.stream = io.Pipe()
	return u
}

// start sends what comes until stop is called.
func (u *uplink) start(want programRequest) {
	u.send.Go(func() { _ = u.stream.CloseWithError(u.run(want)) }) // a pipe closes without error
}

// stop ends the stream, and waits until nothing is sent any more.
func (u *uplink) stop() {
	u.once.Do(func() {
		close(u.over)
		late := time.AfterFunc(leaveTime, func() { _ = u.body.Close() }) // a pipe closes without error
		u.send.Wait()
		late.Stop()
		if u.at.In != nil {
			_ = u.at.In.Close() // nothing was written to it
		}
	})
}

// run sends what comes, until stop is called or the other side does not take it.
func (u *uplink) run(want programRequest) error {
	first, err := messageOf(msgProgram, want)
	if err != nil {
		return err
	}
	if err := u.write(first); err != nil {
		return err
	}
	typed := u.read()
	for {
		from := typed
		if !u.mayType() {
			from = nil
		}
		m := message{kind: msgInput}
		select {
		case <-u.over:
			return nil
		case <-u.room:
			continue
		case ctl := <-u.at.Controls:
			if m, err = messageOf(msgControl, ctl); err != nil {
				return err
			}
		case chunk, more := <-from:
			m.content = chunk
			u.add(-len(chunk))
			if !more {
				m.kind, typed = msgEnd, nil
			}
		}
		if err := u.write(m); err != nil {
			return err
		}
	}
}

// write sends a message. It does not wait any longer than for stop.
func (u *uplink) write(m message) error {
	_, err := u.stream.Write(m.put(nil))
	return err
}

// mayType reports whether the server has room for a chunk of input.
func (u *uplink) mayType() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.credit >= maxChunk
}

func (u *uplink) add(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.credit += n
}

// read returns the input in pieces; each is valid until the next but one was taken.
// The channel is closed at the end. Nothing can interrupt a Read of a terminal: the
// goroutine ends with that, at the latest when the input closes.
func (u *uplink) read() <-chan []byte {
	typed := make(chan []byte)
	if u.at.In == nil {
		return nil
	}
	go func() { // see above
		defer close(typed)
		var buffers [2][maxChunk]byte
		for i := 0; ; i++ {
			b := buffers[i%2][:]
			n, err := u.at.In.Read(b)
			if n > 0 {
				select {
				case typed <- b[:n]:
				case <-u.over:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return typed
}

// follow passes on what the server sends, until it says how the program ended.
func (u *uplink) follow(answer io.Reader) (exit octo.Exit, err error) {
	down := &messageReader{from: answer}
	for {
		m, err := down.next()
		if err != nil {
			return exit, lost(err)
		}
		switch m.kind {
		case msgOutput:
			_, err = u.at.Out.Write(m.content)
		case msgErrors:
			_, err = u.at.Err.Write(m.content)
		case msgTaken:
			err = u.taken(m.content)
		case msgBegan:
			err = u.began(m)
		case msgExit:
			return exit, m.decode(&exit)
		case msgFailed:
			var wire wireError
			if err = m.decode(&wire); err == nil {
				err = wire.restore()
			}
		default:
			err = errMessage
		}
		if err != nil {
			return exit, err
		}
	}
}

func (u *uplink) began(m message) error {
	var r octo.Run
	err := m.decode(&r)
	if err == nil && u.at.Began != nil {
		u.at.Began(r)
	}
	return err
}

// taken notes that the server has passed input on.
func (u *uplink) taken(content []byte) error {
	if len(content) != 4 {
		return errMessage
	}
	u.add(int(binary.BigEndian.Uint32(content)))
	select {
	case u.room <- struct{}{}:
	default: // it knows already
	}
	return nil
}

// lost is the error of an answer that broke off.
func lost(err error) error {
	var told *octo.Error
	if errors.As(err, &told) || errors.Is(err, context.Canceled) {
		return err
	}
	return octo.Errorf(octo.ErrUnavailable, "the connection to octohost ended before the program did, and it is ended too").
		WithHint("what must go on by itself is for: octo run:detached")
}
