package sshd

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// maxControls is how many signals and changes of size may wait. What comes on top is
// dropped: nobody is as fast.
const maxControls = 64

// console is where the client of a session sits, an octo.Console.
type console struct {
	keys *keyboard   // nil without a terminal
	raw  atomic.Bool // output is shown as it is

	mu    sync.Mutex
	kind  string // TERM; empty without a terminal
	size  octo.Window
	taken chan octo.Control // nil: by nobody
}

// ptyRequest asks for a terminal (RFC 4254 §6.2).
type ptyRequest struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

// windowChange says that its size has changed (RFC 4254 §6.7).
type windowChange struct{ Columns, Rows, Width, Height uint32 }

// open takes the terminal that the client asks for; false says that it is none.
func (c *console) open(payload []byte) bool {
	var pty ptyRequest
	if ssh.Unmarshal(payload, &pty) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kind = pty.Term
	if !plainTerm(pty.Term) {
		c.kind = "dumb"
	}
	c.size = octo.Window{Columns: int(pty.Columns), Rows: int(pty.Rows)}
	return true
}

// plainTerm reports whether s looks like a name of terminfo(5).
func plainTerm(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._+", r)
	})
}

// resize takes the size that the client's terminal has now; false says that it is none.
func (c *console) resize(payload []byte) bool {
	var change windowChange
	if ssh.Unmarshal(payload, &change) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = octo.Window{Columns: int(change.Columns), Rows: int(change.Rows)}
	if c.size.Valid() {
		c.pass(octo.Control{Window: c.size})
	}
	return true
}

// signal takes a signal; passed says that a program got it.
func (c *console) signal(name octo.SignalName) (passed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pass(octo.Control{Signal: name})
}

// pass hands a control to the program that has taken the console. It holds the lock.
func (c *console) pass(ctl octo.Control) bool {
	if c.taken == nil {
		return false
	}
	select {
	case c.taken <- ctl:
	default: // see maxControls
	}
	return true
}

// Terminal returns the type and the size of the client's terminal.
func (c *console) Terminal() (string, octo.Window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.size
	if c.kind != "" && !size.Valid() {
		size = octo.Window{Columns: 80, Rows: 24}
	}
	return c.kind, size
}

// Take hands the console over.
func (c *console) Take(raw bool) (<-chan octo.Control, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if raw && c.keys == nil || c.taken != nil {
		return nil, nil, errors.New("it is no terminal, or is taken")
	}
	taken := make(chan octo.Control, maxControls)
	c.taken = taken
	if c.size.Valid() {
		c.pass(octo.Control{Window: c.size})
	}
	if raw {
		c.setRaw(true)
	}
	return taken, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taken = nil
		if raw {
			c.setRaw(false)
		}
	}, nil
}

func (c *console) setRaw(raw bool) {
	c.raw.Store(raw)
	c.keys.setRaw(raw)
}

// ends reports whether a signal means that the client wants a command to end.
func ends(name octo.SignalName) bool {
	return slices.Contains([]octo.SignalName{"INT", "TERM", "HUP", "QUIT", "KILL"}, name)
}
