package cli

import (
	"context"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/octohost/octohost/internal/octo"
)

// switchboard decides what the signals of this process do: the first one asks the
// command to end and a second one kills it, unless a program has taken them.
type switchboard struct {
	cancel  context.CancelFunc
	signals chan os.Signal
	done    sync.WaitGroup

	mu    sync.Mutex
	taken chan<- octo.Control // nil: by nobody
}

// newSwitchboard listens until stop is called. The first signal calls cancel.
func newSwitchboard(cancel context.CancelFunc) *switchboard {
	b := &switchboard{cancel: cancel, signals: make(chan os.Signal, 16)}
	signal.Notify(b.signals, os.Interrupt, syscall.SIGTERM)
	b.done.Go(func() { // ended by stop
		for s := range b.signals {
			b.happened(s)
		}
	})
	return b
}

func (b *switchboard) stop() {
	signal.Stop(b.signals)
	close(b.signals)
	b.done.Wait()
}

func (b *switchboard) happened(s os.Signal) {
	b.mu.Lock()
	taken := b.taken
	b.mu.Unlock()
	if taken != nil {
		pass(taken, octo.Control{Signal: signalName(s)})
		return
	}
	b.cancel()
	signal.Reset(os.Interrupt, syscall.SIGTERM)
}

// pass hands a control over, unless too many wait already: more than a person can make.
func pass(to chan<- octo.Control, c octo.Control) {
	select {
	case to <- c:
	default:
	}
}

// take passes signals to controls until release is called.
func (b *switchboard) take(controls chan<- octo.Control) (release func()) {
	b.set(controls)
	more := passedOn()
	signal.Notify(b.signals, more...)
	return func() {
		b.set(nil)
		signal.Reset(more...)
	}
}

func (b *switchboard) set(controls chan<- octo.Control) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = controls
}

// shield calls start, which starts a process, so that Ctrl-C does not end that: the
// terminal sends it to every process in the foreground.
func (b *switchboard) shield(start func() (net.Conn, error)) (net.Conn, error) {
	signal.Ignore(os.Interrupt) // which processes inherit
	defer signal.Notify(b.signals, os.Interrupt)
	return start()
}

// terminal is the terminal of this process, an octo.Console.
type terminal struct {
	in, out *os.File
	kind    string // TERM
	board   *switchboard
}

// Terminal returns the type and size of the terminal. Keys and output must both be
// those of one.
func (t *terminal) Terminal() (string, octo.Window) {
	if !isTerminal(t.in) || !isTerminal(t.out) || t.kind == "" {
		return "", octo.Window{}
	}
	columns, rows, err := term.GetSize(int(t.out.Fd()))
	if err != nil {
		return t.kind, octo.Window{Columns: 80, Rows: 24}
	}
	return t.kind, octo.Window{Columns: columns, Rows: rows}
}

// maxControls is how many signals and changes of size may wait.
const maxControls = 64

// Take hands signals over, and with raw also every key as it is pressed.
func (t *terminal) Take(raw bool) (<-chan octo.Control, func(), error) {
	controls := make(chan octo.Control, maxControls)
	restore := func() {}
	if raw {
		before, err := term.MakeRaw(int(t.in.Fd()))
		if err != nil {
			return nil, nil, err
		}
		restore = func() { _ = term.Restore(int(t.in.Fd()), before) } // the terminal may be gone
	}
	release := t.board.take(controls)
	unwatch := t.watchSize(controls)
	return controls, func() {
		unwatch()
		release()
		restore()
	}, nil
}

// watchSize passes the size of the terminal on, now and whenever it changes, until
// the function that it returns is called.
func (t *terminal) watchSize(controls chan<- octo.Control) (stop func()) {
	if kind, _ := t.Terminal(); kind == "" {
		return func() {}
	}
	changes := make(chan os.Signal, 1)
	notifyResize(changes)
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			_, size := t.Terminal()
			pass(controls, octo.Control{Window: size})
			select {
			case <-changes:
			case <-ended:
				return
			}
		}
	})
	return func() {
		signal.Stop(changes)
		close(ended)
		watching.Wait()
	}
}
