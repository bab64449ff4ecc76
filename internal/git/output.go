package git

import (
	"io"
	"sync"
)

// maxPending is how much of a deploy's story waits for a slow client, in bytes.
const maxPending = 1 << 20

// output sends packets to a hook without ever keeping the writer waiting: when the
// client does not keep up, lines are left out; when the hook has gone, all are.
type output struct {
	to io.Writer

	mu      sync.Mutex
	more    sync.Cond // pending has grown, or closed is set
	pending []byte
	skipped bool
	closed  bool
	err     error

	sender sync.WaitGroup
}

func newOutput(to io.Writer) *output {
	o := &output{to: to}
	o.more.L = &o.mu
	o.sender.Go(o.run)
	return o
}

// Write sends b to the person who pushes. It never fails.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case len(o.pending)+len(b) <= maxPending:
		o.add(bandErr, b)
		o.skipped = false
	case !o.skipped:
		o.skipped = true
		o.add(bandErr, []byte("\n … left out: the client does not keep up\n"))
	}
	return len(b), nil
}

// send sends b to git.
func (o *output) send(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(bandOut, b)
}

// answer sends the verdicts to git, and says that nothing more comes.
func (o *output) answer(verdicts []verdict) {
	var b []byte
	for _, v := range verdicts {
		if v.reason == "" {
			b = appendPkt(b, "ok ", v.ref)
		} else {
			b = appendPkt(b, "ng ", v.ref, " ", v.reason)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(bandOut, appendFlush(b))
	o.pending = appendFlush(o.pending)
	o.more.Signal()
}

// add packs b; o.mu must be held.
func (o *output) add(band string, b []byte) {
	const most = maxPkt - 5
	for len(b) > 0 {
		n := min(len(b), most)
		o.pending = appendPkt(o.pending, band, string(b[:n]))
		b = b[n:]
	}
	o.more.Signal()
}

// close waits until everything has been sent, and returns why it could not.
func (o *output) close() error {
	o.mu.Lock()
	o.closed = true
	o.more.Signal()
	o.mu.Unlock()
	o.sender.Wait()
	return o.err
}

// run sends what is pending until close.
func (o *output) run() {
	for {
		batch, ok := o.next()
		if !ok {
			return
		}
		if len(batch) == 0 {
			continue
		}
		if _, err := o.to.Write(batch); err != nil {
			o.mu.Lock()
			o.err = err
			o.mu.Unlock()
		}
	}
}

// next waits for something to send; false means that nothing more comes.
func (o *output) next() ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) == 0 && !o.closed {
		o.more.Wait()
	}
	batch := o.pending
	o.pending = nil
	if o.err != nil {
		batch = nil
	}
	return batch, len(batch) > 0 || !o.closed
}
