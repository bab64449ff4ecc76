// Testapp is the program in the containers of tests. Without arguments it is the
// server of package webapp. With them it is one of that package's tools, for the RUN
// steps of builds, and for what people run, in images that have no shell.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/engine/enginetest/webapp"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(webapp.Run(context.Background(), process(syscall.SIGTERM, syscall.SIGINT)))
	}
	var handled []os.Signal
	switch os.Args[1] {
	case "signals":
		handled = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1}
	case "window":
		handled = []os.Signal{syscall.SIGWINCH}
	}
	os.Exit(webapp.Tool(context.Background(), process(handled...), os.Args[1], os.Args[2:]))
}

func process(handled ...os.Signal) webapp.Process {
	signals := make(chan os.Signal, 16)
	if len(handled) > 0 { // without any, Notify would take all
		signal.Notify(signals, handled...)
	}
	return webapp.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signal: signals, Window: window}
}

// window asks the terminal on stdout for its size.
func window() (columns, rows int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}
