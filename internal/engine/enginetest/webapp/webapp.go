// Package webapp is the program inside of the containers of tests: a web server
// that can misbehave in every way that octohost has a word for. It runs as a real
// container (package testapp) and inside of enginetest.Fake.
//
// What it does is told by environment variables:
//
//	PORT            port to listen on (default 5000)
//	LISTEN          address to listen on instead, such as 127.0.0.1:5000; "none" listens nowhere
//	START_DELAY     wait before it listens, such as 3s
//	VERSION         text of / (default: the content of /version.txt)
//	STATUS          status of / (default 200)
//	EXIT_CODE       end at once with this code; EXIT_AFTER delays it
//	OOM             "1" eats memory until it is killed; OOM_AFTER delays it
//	IGNORE_SIGTERM  "1" goes on after SIGTERM
//	DRAIN           how long requests may take to end after SIGTERM (default 5s)
//	REDIRECT_HTTPS  "1" redirects plain HTTP to https, unless X-Forwarded-Proto is https
//	COUNT           print numbers, one in so much time, such as 5ms
//	LOG             lines to print at the start, separated by "|"; "!" in front prints to stderr
//
// The handler's paths are in handler.go.
package webapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Process is what the program runs in.
type Process struct {
	Getenv         func(string) string
	Host           string // address of the container, put in front of PORT; empty means all
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Signal         <-chan os.Signal // SIGTERM, and whatever tools handle
	// Window returns the size of the terminal, or false where there is none.
	Window   func() (columns, rows int, ok bool)
	ReadFile func(path string) ([]byte, error) // nil means os.ReadFile
	// OutOfMemory is called for OOM=1; it returns if the process has been killed.
	// Nil means to eat memory in earnest.
	OutOfMemory func()
}

// Run runs the program until a signal, its own end as the environment says, or the
// end of ctx (which stands for SIGKILL), and returns the exit code.
func Run(ctx context.Context, p Process) int {
	p.printLines()
	if code := p.Getenv("EXIT_CODE"); code != "" {
		p.wait(ctx, p.duration("EXIT_AFTER", 0))
		return number(code, 1)
	}
	if p.Getenv("OOM") == "1" {
		p.wait(ctx, p.duration("OOM_AFTER", 0))
		p.eat()
		return 137
	}
	if !p.wait(ctx, p.duration("START_DELAY", 0)) {
		return 143
	}
	return p.serve(ctx)
}

func (p Process) printLines() {
	for line := range strings.SplitSeq(p.Getenv("LOG"), "|") {
		if text, isErr := strings.CutPrefix(line, "!"); isErr {
			p.say(p.Stderr, text)
		} else if line != "" {
			p.say(p.Stdout, line)
		}
	}
}

func (p Process) say(w io.Writer, text string) {
	_, _ = fmt.Fprintln(w, text) // nobody left to tell
}

// wait reports whether d has passed without a signal.
func (p Process) wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	signal := p.Signal
	if p.Getenv("IGNORE_SIGTERM") == "1" {
		signal = nil
	}
	select {
	case <-timer.C:
		return true
	case <-signal:
	case <-ctx.Done():
	}
	return false
}

func (p Process) eat() {
	if p.OutOfMemory != nil {
		p.OutOfMemory()
		return
	}
	var held [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(i) // touched, so that the kernel has to find it
		}
		held = append(held, block)
		if len(held)%1000 == 0 {
			p.say(p.Stdout, fmt.Sprintf("%d MB", len(held)))
		}
	}
}

func (p Process) serve(ctx context.Context) int {
	var listener net.Listener
	if p.address() != "none" {
		var err error
		if listener, err = net.Listen("tcp", p.address()); err != nil {
			p.say(p.Stderr, err.Error())
			return 1
		}
		p.say(p.Stdout, "listening on "+listener.Addr().String())
	}
	handler := newHandler(p)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	if listener != nil {
		go func() { served <- server.Serve(listener) }() // ended by Close or Shutdown below
	}
	stop := make(chan struct{})
	var counting sync.WaitGroup
	counting.Go(func() { p.count(stop) })
	code := p.untilEnd(ctx, handler.exit)
	close(stop)
	counting.Wait()
	defer server.Close() //nolint:errcheck // the process ends
	if ctx.Err() == nil && code == 0 {
		drain, cancel := context.WithTimeout(ctx, p.duration("DRAIN", 5*time.Second))
		defer cancel()
		if err := server.Shutdown(drain); err != nil && !errors.Is(err, context.Canceled) {
			p.say(p.Stderr, "shutdown: "+err.Error())
		}
	}
	return code
}

// untilEnd returns the exit code once the process should end.
func (p Process) untilEnd(ctx context.Context, exit <-chan int) int {
	for {
		select {
		case <-ctx.Done():
			return 137
		case code := <-exit:
			return code
		case <-p.Signal:
			if p.Getenv("IGNORE_SIGTERM") != "1" {
				p.say(p.Stdout, "ending on SIGTERM")
				return 0
			}
			p.say(p.Stdout, "ignoring SIGTERM")
		}
	}
}

func (p Process) address() string {
	if listen := p.Getenv("LISTEN"); listen != "" {
		return listen
	}
	port := p.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	return net.JoinHostPort(p.Host, port)
}

func (p Process) duration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(p.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}
