package git

import (
	"io"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// intake is the way of a push's bytes from the client to git. It cuts off pushes
// that are too large, and those of which nothing comes any more.
type intake struct {
	session  *session
	most     int64
	patience time.Duration
	timer    *time.Timer

	mu      sync.Mutex
	resting bool
	total   int64
	cause   error
}

func newIntake(s *session, most int64, patience time.Duration) *intake {
	in := &intake{session: s, most: most, patience: patience}
	in.timer = time.AfterFunc(patience, func() {
		in.refuse(octo.Errorf(octo.ErrTimeout, "nothing of this push has arrived for %s", patience).WithHint("push again"))
	})
	return in
}

// copy copies until the client or git has had enough.
func (in *intake) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if in.count(n) > in.most {
			in.refuse(tooLarge(in.most))
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func tooLarge(most int64) error {
	return octo.Errorf(octo.ErrInvalid, "this push is larger than %s", octo.Size(most)).
		WithHint("keep large files out of git (build results, media, data: also out of its history), or raise max_push on the server")
}

// refuse ends the push, for a reason that the person is told.
func (in *intake) refuse(cause error) {
	in.mu.Lock()
	if in.cause == nil {
		in.cause = cause
	}
	in.mu.Unlock()
	in.session.end()
}

// count says that n bytes have come, and returns how many that makes.
func (in *intake) count(n int) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.resting {
		in.timer.Reset(in.patience)
	}
	in.total += int64(n)
	return in.total
}

// size returns how many bytes have come.
func (in *intake) size() int64 { return in.count(0) }

// rest stops expecting anything from the client.
func (in *intake) rest() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.resting = true
	in.timer.Stop()
}

func (in *intake) err() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cause
}
