package image

import (
	"context"
	"slices"
	"sync"
)

// queue lets a few in at a time, in the order in which they came.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting []*ticket
}

// ticket is one who waits.
type ticket struct {
	turn  chan struct{} // closed when it is its turn
	moved chan int      // holds the newest number of those ahead
}

func newQueue(slots int) *queue { return &queue{free: slots} }

// enter waits for a free slot, and calls tell with the number of those that have to
// end before, at first and whenever it changes. leave gives the slot back.
func (q *queue) enter(ctx context.Context, tell func(ahead int)) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := q.join()
	for {
		select {
		case <-t.turn:
			return q.leave, nil
		default:
		}
		select {
		case <-t.turn:
			return q.leave, nil
		case ahead := <-t.moved:
			tell(ahead)
		case <-ctx.Done():
			q.giveUp(t)
			return nil, ctx.Err()
		}
	}
}

func (q *queue) join() *ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := &ticket{turn: make(chan struct{}), moved: make(chan int, 1)}
	q.waiting = append(q.waiting, t)
	q.advance()
	if i := slices.Index(q.waiting, t); i >= 0 {
		t.moved <- i + 1
	}
	return t
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	if q.advance() {
		q.announce()
	}
}

func (q *queue) giveUp(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	} else {
		q.free++ // it was let in at the same moment
		q.advance()
	}
	q.announce()
}

// advance lets in whom there is room for.
func (q *queue) advance() (moved bool) {
	for q.free > 0 && len(q.waiting) > 0 {
		q.free--
		close(q.waiting[0].turn)
		q.waiting = q.waiting[1:]
		moved = true
	}
	return moved
}

// announce tells all who wait how many are ahead now.
func (q *queue) announce() {
	for i, t := range q.waiting {
		select {
		case <-t.moved: // what it has not heard is out of date
		default:
		}
		t.moved <- i + 1
	}
}
