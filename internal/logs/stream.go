package logs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/ring"
)

const (
	// flushAt is how many bytes of an app may wait before whoever adds one writes them.
	flushAt = 256 << 10
	// maxPending is how many bytes of all apps may wait before everybody writes at once.
	maxPending = 16 << 20
	// maxWaiting is how many bytes of an app may wait for a disk that does not take them.
	maxWaiting = 1 << 20
	// leastPending is for how many bytes there is room at first.
	leastPending = 512
	// tellEvery is how often a log says at most that lines were dropped.
	tellEvery = time.Second
	// warnEvery is how often octohost complains at most that it cannot write a log.
	warnEvery = time.Minute
	// checkpointEvery is after how many bytes it is written down how far containers were
	// taken: so much is read when octohost starts.
	checkpointEvery = 256 << 10
)

// stream takes the lines of one app.
type stream struct {
	app     octo.Name
	archive *Archive

	mu      sync.Mutex
	pending []byte // records, one behind the other
	marks   []mark // where each begins and ends
	usual   mark   // how many records waited last (start), and how many bytes (end)
	cursors map[key]*cursor
	budget  budget
	dropped map[string]int // lines by who printed them
	lost    int            // lines that could not be written
	why     error          // the last of them
	told    time.Time      // when that was last said
	covered int            // bytes since the last checkpoint
	closed  bool

	write  sync.Mutex // one writes at a time; locked before mu
	log    *ring.Log  // nil until it is needed
	warned time.Time
}

// mark is a record among those that wait.
type mark struct {
	at         int64 // time of the line
	start, end int
}

func newStream(a *Archive, app octo.Name) *stream {
	return &stream{app: app, archive: a, cursors: map[key]*cursor{}, dropped: map[string]int{}, budget: newBudget(a.cfg.Max)}
}

// add takes a line. It writes only what belongs to a container, for the one who adds
// it reads from the engine and may wait. It reports whether the line is kept.
func (s *stream) add(e *entry) bool {
	s.mu.Lock()
	fresh := len(s.pending) == 0
	kept := s.take(e)
	waiting, closed := len(s.pending), s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return true // it is of no interest any more
	case e.container != 0 && (waiting >= flushAt || waiting > 0 && s.archive.pending.Load() > maxPending):
		s.flush()
	case fresh:
		s.archive.soil(s)
	}
	return kept
}

// take puts a line to those that wait, or counts it as dropped. The caller holds the
// lock.
func (s *stream) take(e *entry) bool {
	if s.closed {
		return false
	}
	if e.container != 0 {
		s.cursor(e.container).stream(e.line.Stderr).take(e.line.Time.UnixNano())
	}
	start := len(s.pending)
	size := len(e.line.Text) + recordCost
	if start > maxWaiting || e.line.Source != octo.LogOctohost && !s.budget.spend(size, time.Now()) {
		s.dropped[e.line.Name()]++
		return false
	}
	s.put(e)
	s.archive.pending.Add(int64(len(s.pending) - start))
	return true
}

// recordCost is about what a line costs besides its text, in bytes.
const recordCost = 50

func (s *stream) put(e *entry) {
	if s.pending == nil {
		s.pending = make([]byte, 0, min(max(s.usual.end*9/8, leastPending), flushAt*9/8))
		s.marks = make([]mark, 0, s.usual.start*9/8)
	}
	start := len(s.pending)
	s.pending = appendLine(s.pending, e)
	s.marks = append(s.marks, mark{e.line.Time.UnixNano(), start, len(s.pending)})
}

func (s *stream) cursor(k key) *cursor {
	if s.cursors[k] == nil {
		s.cursors[k] = &cursor{}
	}
	return s.cursors[k]
}

// flush writes what waits.
func (s *stream) flush() { s.flushAs(false) }

// flushAs writes what waits; the last time it also says what else it would later.
func (s *stream) flushAs(last bool) {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.load(); err != nil {
		s.complain(err)
	}
	now := time.Now()
	records, again := s.gather(now, last)
	if again {
		s.archive.soil(s)
	}
	if len(records) == 0 {
		return
	}
	err := s.append(now, records)
	if err != nil {
		s.complain(err)
		s.mu.Lock()
		s.lost, s.why = s.lost+len(records), err
		s.mu.Unlock()
	}
}

func (s *stream) append(now time.Time, records [][]byte) error {
	if s.log == nil {
		return octo.Errorf(octo.ErrUnavailable, "the log cannot be opened")
	}
	return s.log.Append(now, records...)
}

// gather takes what waits, in order of time, with what there is to say about lines
// that were dropped, and a checkpoint where one is due. Again says that something is
// left to say later.
func (s *stream) gather(now time.Time, last bool) (records [][]byte, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.archive.pending.Add(-int64(len(s.pending)))
	losses := s.lost > 0 || len(s.dropped) > 0
	tell := losses && (last || now.Sub(s.told) >= tellEvery)
	if tell {
		s.tell(now)
	}
	slices.SortStableFunc(s.marks, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	records = make([][]byte, 0, len(s.marks)+1)
	for _, m := range s.marks {
		records = append(records, s.pending[m.start:m.end:m.end])
	}
	s.covered += len(s.pending)
	if tell || len(records) > 0 && s.covered >= min(checkpointEvery, int(s.archive.cfg.Max/16)) {
		records = append(records, appendCheckpoint(nil, s.cursors))
		s.covered = 0
	}
	s.usual = mark{start: len(s.marks), end: len(s.pending)}
	s.pending, s.marks = nil, nil // the records are of what it was
	return records, losses && !tell
}

// tell says which lines are missing. The caller holds the lock.
func (s *stream) tell(now time.Time) {
	s.told = now
	say := func(format string, args ...any) {
		s.put(&entry{line: octo.LogLine{Time: now, App: s.app, Source: octo.LogOctohost, Text: fmt.Sprintf(format, args...)}})
	}
	for _, name := range slices.Sorted(maps.Keys(s.dropped)) {
		say("octohost dropped %s of %s: more than this log can take", lines(s.dropped[name]), name)
	}
	if s.lost > 0 {
		say("octohost lost %s: %v", lines(s.lost), s.why)
	}
	clear(s.dropped)
	s.lost, s.why = 0, nil
}

func lines(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", n)
}

// complain tells the operator that a log cannot be written. The caller holds the write
// lock.
func (s *stream) complain(err error) {
	if time.Since(s.warned) >= warnEvery {
		s.warned = time.Now()
		s.archive.cfg.Log.Warn("log cannot be written", "app", s.app, "err", err)
	}
}

// load opens the log, and finds out how far each container was taken. The caller holds
// the write lock.
func (s *stream) load() error {
	if s.log != nil {
		return nil
	}
	log, err := s.archive.open(s.app)
	if err != nil {
		return err
	}
	r := recall{cursors: map[key]*cursor{}}
	for rec, err := range log.Backward(log.End()) {
		if err != nil {
			return err
		}
		if r.checkpoint(rec.Data) {
			break
		}
		if e, ok := readLine(rec.Data, s.app); ok {
			r.line(&e)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, c := range r.cursors {
		if s.cursors[k] == nil {
			s.cursors[k] = c
		}
	}
	s.log = log
	return nil
}

// attach returns how far a container was taken, from which on its lines may be added.
func (s *stream) attach(k key) (cursor, error) {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.load(); err != nil {
		s.complain(err)
		return cursor{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.cursor(k), nil
}

// reader returns the log with all that was added so far; nil when there is none any
// more.
func (s *stream) reader() (*ring.Log, error) {
	s.flush()
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open log of %s: %w", s.app, err)
	}
	return s.log, nil
}

// retain forgets how far containers were taken that are not among these.
func (s *stream) retain(containers map[key]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.cursors, func(k key, _ *cursor) bool { return !containers[k] })
}

// leave forgets how far a container was taken that is gone.
func (s *stream) leave(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cursors, k)
}

// remove removes the log, and takes nothing more.
func (s *stream) remove() error {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	s.archive.pending.Add(-int64(len(s.pending)))
	s.closed, s.pending, s.marks = true, nil, nil
	s.mu.Unlock()
	if s.log == nil {
		var err error
		if s.log, err = s.archive.open(s.app); err != nil {
			return err
		}
	}
	return s.log.Remove()
}
