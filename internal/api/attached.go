package api

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// programRequest is what somebody wants to be attached to.
type programRequest struct {
	Instance string       `json:"instance,omitempty"` // to enter; empty means the one that is nearest
	Program  octo.Program `json:"program"`
	Input    bool         `json:"input"` // input will come
}

// leaveTime is how long a client may take to end its stream after the program has.
const leaveTime = time.Second

// attach connects the client of a call with the program that run runs for it.
func (s *Server) attach(c *call, run func(context.Context, programRequest, octo.Attachment) (octo.Exit, error)) error {
	if c.Header.Get("Content-Type") != attachType {
		return octo.Errorf(octo.ErrInvalid, "this takes a stream of type %s", attachType)
	}
	up := &messageReader{from: c.stream}
	req, err := firstMessage(up)
	if err != nil {
		return err
	}
	c.note("instance", req.Instance)
	c.noteProgram(req.Program)
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	down := &downlink{w: c.w}
	in, controls := newInlet(down.taken), make(chan octo.Control, maxControls)
	var receiving sync.WaitGroup
	receiving.Go(func() {
		defer cancel() // the client is gone, or talks nonsense: nobody is attached any more
		receive(up, in, controls)
	})
	at := octo.Attachment{Out: down.to(msgOutput), Err: down.to(msgErrors), Controls: controls, Began: down.began}
	if req.Input {
		at.In = in
	}
	exit, err := run(ctx, req, at)
	s.sendOff(c, down, exit, err)
	_ = in.Close() // it never fails
	receiving.Wait()
	return nil
}

// sendOff tells the client how its program ended, and lets it end its stream, which
// must not take long.
func (s *Server) sendOff(c *call, down *downlink, exit octo.Exit, err error) {
	control := http.NewResponseController(c.w)
	if err == nil {
		c.note("exit", strconv.Itoa(exit.Code))
	}
	c.conclude(err)
	var gone error
	switch {
	case err == nil:
		gone = down.sendJSON(msgExit, exit)
	case down.opened():
		wire, _ := s.describe(c, err)
		gone = down.sendJSON(msgFailed, wire)
	default:
		s.fail(c, err)
		gone = control.Flush()
	}
	if err := errors.Join(gone, control.SetReadDeadline(time.Now().Add(leaveTime))); err != nil {
		s.cfg.Log.Debug("client went away", "path", c.URL.Path, "err", err)
	}
}

// firstMessage returns what the client wants.
func firstMessage(up *messageReader) (req programRequest, err error) {
	m, err := up.next()
	if err == nil && m.kind == msgProgram {
		err = m.decode(&req)
	} else if err == nil {
		err = errMessage
	}
	if err != nil {
		return req, octo.Errorf(octo.ErrInvalid, "the request cannot be read: %v", err).WithHint("is the octo on the other side of another version?")
	}
	return req, nil
}

// maxControls is how many signals and changes of size may wait. Nobody presses keys
// as fast; what comes on top is dropped.
const maxControls = 64

// receive takes what the client sends, up to the end of its stream.
func receive(up *messageReader, in *inlet, controls chan<- octo.Control) {
	defer in.fail()
	for {
		m, err := up.next()
		if err != nil {
			return
		}
		switch m.kind {
		case msgInput:
			if !in.push(m.content) {
				return
			}
		case msgEnd:
			in.end()
		case msgControl:
			var ctl octo.Control
			if m.decode(&ctl) != nil {
				return
			}
			if _, err := octo.ParseSignal(string(ctl.Signal)); err != nil && !ctl.Window.Valid() {
				continue // it is of a later version, or of somebody who plays
			}
			select {
			case controls <- ctl:
			default: // see maxControls
			}
		default:
			return
		}
	}
}

// inlet holds input until the program takes it.
type inlet struct {
	taken func(n int) // tells the client that there is room again

	mu     sync.Mutex
	more   sync.Cond
	held   []byte
	ended  bool // no more comes
	closed bool // nobody reads
	failed bool // the client is gone
}

func newInlet(taken func(int)) *inlet {
	in := &inlet{taken: taken}
	in.more.L = &in.mu
	return in
}

// push takes input; false says that there was no room for it, which the client knew.
func (in *inlet) push(p []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	defer in.more.Broadcast()
	if len(in.held)+len(p) > maxWindow {
		return false
	}
	if !in.closed && !in.ended {
		in.held = append(in.held, p...)
	}
	return true
}

func (in *inlet) end() { in.set(&in.ended) }

func (in *inlet) fail() { in.set(&in.failed) }

func (in *inlet) set(flag *bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	*flag = true
	in.more.Broadcast()
}

// Read returns input, and io.EOF when no more comes. What a client that is gone has
// sent is not the whole: then the end is io.ErrUnexpectedEOF.
func (in *inlet) Read(p []byte) (int, error) {
	n, err := in.read(p)
	if n > 0 {
		in.taken(n)
	}
	return n, err
}

func (in *inlet) read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.held) == 0 && !in.ended && !in.closed && !in.failed {
		in.more.Wait()
	}
	switch {
	case in.closed:
		return 0, io.ErrClosedPipe
	case len(in.held) > 0:
		n := copy(p, in.held)
		in.held = append(in.held[:0], in.held[n:]...)
		return n, nil
	case in.ended:
		return 0, io.EOF
	}
	return 0, io.ErrUnexpectedEOF
}

// Close ends every Read.
func (in *inlet) Close() error {
	in.set(&in.closed)
	return nil
}

// downlink sends messages to the client of a call.
type downlink struct {
	w http.ResponseWriter

	mu   sync.Mutex
	open bool
	line []byte
}

// opened reports whether the status is out, so that it cannot change any more.
func (d *downlink) opened() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// send sends a message, with the status before the first one.
func (d *downlink) send(m message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		d.open = true
		d.w.Header().Set("Content-Type", attachType)
		d.w.WriteHeader(http.StatusOK)
	}
	d.line = m.put(d.line[:0])
	if _, err := d.w.Write(d.line); err != nil {
		return err
	}
	return http.NewResponseController(d.w).Flush()
}

// sendJSON sends v. That the client is gone, others find out.
func (d *downlink) sendJSON(kind messageKind, v any) error {
	m, err := messageOf(kind, v)
	if err != nil {
		return err
	}
	return d.send(m)
}

func (d *downlink) began(r octo.Run) {
	_ = d.sendJSON(msgBegan, r) // receive sees that the client is gone
}

func (d *downlink) taken(n int) {
	_ = d.send(message{msgTaken, binary.BigEndian.AppendUint32(nil, uint32(n))}) //nolint:gosec // at most maxWindow; and as in began
}

// to returns a writer of messages of a kind.
func (d *downlink) to(kind messageKind) io.Writer { return outlet{d, kind} }

// outlet is one stream of output.
type outlet struct {
	d    *downlink
	kind messageKind
}

// Write sends p, in pieces.
func (o outlet) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		n := min(len(p)-sent, maxChunk)
		if err := o.d.send(message{o.kind, p[sent : sent+n]}); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}
