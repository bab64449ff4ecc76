package git

import (
	"context"
	"slices"
	"sync"

	"github.com/octohost/octohost/internal/octo"
)

// queue lets one at a time through for each app, in order of arrival. The zero
// value is ready.
type queue struct {
	mu    sync.Mutex
	lines map[octo.Name][]*ticket
}

// ticket is a place in a line.
type ticket struct {
	moved chan struct{} // has room for one: something in front has left
}

// wait blocks until it is this caller's turn, and calls tell with the number of
// those ahead, at first and whenever it changes. The caller must call leave when it
// is done. If ctx ends before that, wait returns its error and has left the line.
func (q *queue) wait(ctx context.Context, app octo.Name, tell func(ahead int)) (leave func(), err error) {
	t := q.join(app)
	leave = sync.OnceFunc(func() { q.leave(app, t) })
	told := 0
	for {
		ahead := q.ahead(app, t)
		if ahead == 0 {
			return leave, nil
		}
		if ahead != told {
			tell(ahead)
			told = ahead
		}
		select {
		case <-t.moved:
		case <-ctx.Done():
			leave()
			return nil, context.Cause(ctx)
		}
	}
}

func (q *queue) join(app octo.Name) *ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lines == nil {
		q.lines = map[octo.Name][]*ticket{}
	}
	t := &ticket{moved: make(chan struct{}, 1)}
	q.lines[app] = append(q.lines[app], t)
	return t
}

func (q *queue) ahead(app octo.Name, t *ticket) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Index(q.lines[app], t)
}

func (q *queue) leave(app octo.Name, t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.lines[app], t)
	line := slices.Delete(q.lines[app], i, i+1)
	if len(line) == 0 {
		delete(q.lines, app)
		return
	}
	q.lines[app] = line
	for _, behind := range line[i:] {
		select {
		case behind.moved <- struct{}{}:
		default: // it has not looked since the last time, and will see both
		}
	}
}
