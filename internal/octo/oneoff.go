package octo

import (
	"io"
	"slices"
	"strings"
	"time"
)

// Program is what somebody wants to run in the image of an app's release, or inside
// of one of its instances.
type Program struct {
	// Command is the program and its arguments. A single word that names a process of
	// the release stands for the command of that process.
	Command []string `json:"command"`
	// Env is NAME=value, over the app's configuration.
	Env []string `json:"env,omitempty"`
	// Memory is its limit in bytes; 0 means that of the process that it is run like.
	Memory int64 `json:"memory,omitempty"`
	// TTL is after how long it is ended; 0 means DefaultTTL.
	TTL Duration `json:"ttl,omitzero"`
	// Bare says that the image's entrypoint is not put in front of the command.
	Bare bool `json:"bare,omitempty"`
	// Terminal says that it gets a terminal, of the type Term and the size Window.
	Terminal bool   `json:"terminal,omitempty"`
	Term     string `json:"term,omitempty"`
	Window   Window `json:"window,omitzero"`
}

// The limits of how long a program may run.
const (
	DefaultTTL = Duration(24 * time.Hour)
	MinTTL     = Duration(time.Minute)
	MaxTTL     = Duration(7 * 24 * time.Hour)
)

// Attachment is how somebody is connected with a program that runs for them.
type Attachment struct {
	// In is what the program reads; nil means nothing. It is closed when the program
	// has ended, which must end a Read of it.
	In       io.ReadCloser
	Out, Err io.Writer // on a terminal everything goes to Out
	// Controls are what they do besides; nil means nothing. It is not closed.
	Controls <-chan Control
	// Began is called once, when the program runs; nil is allowed.
	Began func(Run)
}

// Control is what somebody does to a program besides writing to it: one of both.
type Control struct {
	Signal SignalName `json:"signal,omitempty"` // sends it a signal
	Window Window     `json:"window,omitzero"`  // says what size its terminal has now
}

// Console is where somebody sits who runs commands: besides reading and writing they
// send signals, and change the size of their window.
type Console interface {
	// Terminal returns the type ("xterm") and the size of the terminal; an empty type
	// means that there is none.
	Terminal() (string, Window)
	// Take hands the console over to a program: until release is called, signals and
	// changes of size come through controls and do nothing by themselves. With raw, keys
	// reach the program as they are pressed, and what it prints is shown as it is.
	Take(raw bool) (controls <-chan Control, release func(), err error)
}

// Window is the size of a terminal in characters.
type Window struct {
	Columns int `json:"columns"`
	Rows    int `json:"rows"`
}

// Valid reports whether a terminal can be that large.
func (w Window) Valid() bool {
	const most = 1<<16 - 1
	return w.Columns > 0 && w.Columns <= most && w.Rows > 0 && w.Rows <= most
}

// SignalName is a signal by its POSIX name without "SIG": "INT".
type SignalName string

// signalNames are those that may be sent to a program (RFC 4254 §6.10 has no others
// that do not mean a fault).
func signalNames() []SignalName {
	return []SignalName{"HUP", "INT", "QUIT", "TERM", "KILL", "USR1", "USR2", "ALRM"}
}

// ParseSignal reads a signal's name, with or without "SIG"; the error is of kind
// ErrInvalid.
func ParseSignal(s string) (SignalName, error) {
	name := SignalName(strings.TrimPrefix(s, "SIG"))
	if !slices.Contains(signalNames(), name) {
		return "", Errorf(ErrInvalid, "%s is not a signal that can be sent", quoteShort(s)).WithHint("it may be INT, TERM, HUP, QUIT, KILL, USR1, USR2 or ALRM")
	}
	return name, nil
}

// Exit is how a program ended.
type Exit struct {
	Code int `json:"code"` // 128+n after signal n
	// Message says why, where the program did not end by itself; may be empty, as Hint.
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Run is a program that somebody runs, or ran, beside the instances of an app.
type Run struct {
	Name     string    `json:"name"` // "run.k7f3q", unique within its app
	App      Name      `json:"app"`
	Release  int       `json:"release"`
	Command  string    `json:"command"` // its words, with spaces between them, shortened
	User     string    `json:"user"`
	Attached bool      `json:"attached"` // it ends with its connection
	State    RunState  `json:"state"`
	Started  time.Time `json:"started,omitzero"`
	Expires  time.Time `json:"expires,omitzero"` // when it is ended
	Ended    time.Time `json:"ended,omitzero"`
	ExitCode int       `json:"exit_code"` // once it has ended
	Memory   int64     `json:"memory,omitempty"`
}

// RunState is how a run is.
type RunState string

// The states of a run.
const (
	RunRunning RunState = "running"
	RunEnded   RunState = "ended"
)
