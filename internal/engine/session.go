package engine

import (
	"context"
	"io"

	"github.com/octohost/octohost/internal/octo"
)

// Attach says how somebody wants to be connected with a program.
type Attach struct {
	Input    bool        // it gets what is written to the Session; else its input is empty
	Terminal bool        // it gets a terminal, where output and errors are one
	Window   octo.Window // size of that at the start, if it is valid
	Logged   bool        // what it prints is in the container's log, too
}

// ExecSpec is a program to run inside of a container that runs already.
type ExecSpec struct {
	Attach
	Command []string
	Env     []string // NAME=value, over the container's
}

// Session is a program that somebody is connected with. Its methods may be called at
// the same time, Write and CloseWrite by one goroutine.
type Session interface {
	// Write writes to the program's input. It fails when nobody reads that any more.
	io.Writer
	// CloseWrite says that no more input comes. On a terminal it does nothing: there,
	// a key says so.
	CloseWrite() error
	// Copy copies what the program prints, never to both at the same time, and returns
	// when no more can come.
	Copy(stdout, stderr io.Writer) error
	// Resize says what size the program's terminal has now.
	Resize(ctx context.Context, size octo.Window) error
	// Signal sends the program a signal. One that has ended is no error. ErrUnavailable
	// says that there is no way to do it.
	Signal(ctx context.Context, name octo.SignalName) error
	// Wait waits until the program has ended and returns its exit code, which is 128+n
	// after signal n; a *CommandError where it never ran.
	Wait(ctx context.Context) (int, error)
	// Close gives the connection up. The program goes on.
	Close() error
}

// CommandError is a program that could not be run. It is of kind octo.ErrInvalid.
type CommandError struct {
	Missing bool   // there is no such file; else it is there, and is no program
	Message string // what the engine said
}

// Error says what is wrong.
func (e *CommandError) Error() string { return e.Message }

// Unwrap returns octo.ErrInvalid.
func (e *CommandError) Unwrap() error { return octo.ErrInvalid }
