package webapp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Tool is a small program for images that have no shell. It returns the exit code.
//
//	exit 3         ends with code 3
//	sleep 10s …    waits, or ends at a signal as a program that does not handle it
//	say TEXT…      prints TEXT, a line per argument
//	complain TEXT… the same on stderr
//	cat [FILE…]    prints files, or its input
//	sum FILE       prints its SHA-256
//	write FILE TEXT
//	fill FILE N    writes N MiB that cannot be made smaller
//	eat            eats memory until it is killed
//	env NAME…      prints variables
//	flood N        prints N bytes, a pattern that tells where it is
//	signals N      says ready, then the name of each signal; ends after N
//	window N       says the size of its terminal, N times: now, and when it changes
func Tool(ctx context.Context, p Process, name string, args []string) int {
	err := p.tool(ctx, name, args)
	var code exitCode
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		p.say(p.Stderr, err.Error())
		return 1
	}
	return 0
}

// exitCode is the end of a tool with a code.
type exitCode int

// Error names the code.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func (p Process) tool(ctx context.Context, name string, args []string) error {
	n := 0
	if len(args) > 0 {
		n, _ = strconv.Atoi(args[0]) // a word is as good as 0
	}
	switch name {
	case "exit":
		return exitCode(n)
	case "sleep":
		return p.sleep(ctx, args)
	case "say", "complain":
		to := map[string]io.Writer{"say": p.Stdout, "complain": p.Stderr}[name]
		p.say(to, strings.Join(args, "\n"))
		return nil
	case "cat":
		return p.cat(args)
	case "sum":
		text, err := os.ReadFile(args[0])
		p.say(p.Stdout, fmt.Sprintf("%x", sha256.Sum256(text)))
		return err
	case "write":
		return os.WriteFile(args[0], []byte(args[1]), 0o644) //nolint:gosec // in a container
	case "fill":
		return fill(args[0], args[1])
	case "eat":
		p.eat()
		return exitCode(137)
	case "env":
		for _, variable := range args {
			p.say(p.Stdout, variable+"="+p.Getenv(variable))
		}
		return nil
	case "flood":
		return p.flood(n)
	case "signals":
		return p.tellSignals(ctx, n)
	case "window":
		return p.tellWindow(ctx, n)
	}
	return fmt.Errorf("testapp: what is %s %v?", name, args)
}

func (p Process) sleep(ctx context.Context, args []string) error {
	d, err := time.ParseDuration(args[0]) // further words mark it in the list of processes
	if err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return exitCode(137)
		case s := <-p.Signal:
			if n, ok := s.(syscall.Signal); ok && n != syscall.SIGWINCH {
				return exitCode(128 + int(n))
			}
		}
	}
}

func (p Process) cat(paths []string) error {
	if len(paths) == 0 {
		_, err := io.Copy(p.Stdout, p.Stdin)
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path) //nolint:gosec // in a container
		if err != nil {
			return err
		}
		if _, err := p.Stdout.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// Flood returns n bytes, the ith of which depends on i only.
func Flood(n int) io.Reader { return io.LimitReader(&flood{}, int64(n)) }

type flood struct{ at int }

// Read fills b with the pattern.
func (f *flood) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte((f.at + i) * 2654435761 >> 13)
	}
	f.at += len(b)
	return len(b), nil
}

func (p Process) flood(n int) error {
	_, err := io.Copy(p.Stdout, Flood(n))
	return err
}

func (p Process) tellSignals(ctx context.Context, n int) error {
	p.say(p.Stdout, "ready")
	for n > 0 {
		select {
		case <-ctx.Done():
			return exitCode(137)
		case s := <-p.Signal:
			if s != syscall.SIGWINCH {
				p.say(p.Stdout, signalName(s))
				n--
			}
		}
	}
	return nil
}

func signalName(s os.Signal) string {
	names := map[os.Signal]string{syscall.SIGHUP: "HUP", syscall.SIGINT: "INT", syscall.SIGQUIT: "QUIT", syscall.SIGTERM: "TERM", syscall.SIGUSR1: "USR1"}
	return names[s]
}

func (p Process) tellWindow(ctx context.Context, n int) error {
	last := ""
	for n > 0 {
		columns, rows, ok := p.Window()
		if !ok {
			return errors.New("this is no terminal")
		}
		if now := fmt.Sprintf("%dx%d", columns, rows); now != last && columns > 0 { // it has none at first
			p.say(p.Stdout, now)
			last = now
			n--
			continue
		}
		select {
		case <-ctx.Done():
			return exitCode(137)
		case <-p.Signal:
		}
	}
	return nil
}

// fill writes so many MiB of noise to a file.
func fill(path, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	f, err := os.Create(path) //nolint:gosec // in a container
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, int64(n)<<20)
	return errors.Join(err, f.Close())
}
