package enginetest

import (
	"context"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest/webapp"
)

// testapp is where images of tests have their program.
const testapp = "/testapp"

// FakeProcess is what a program in a fake container has.
type FakeProcess struct {
	Spec           engine.Spec // with the image's environment in front of its own
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal // SIGTERM, and what a Session sends
	OutOfMemory    func()           // kills the container as the kernel does; returns at once
	// Window returns the size of the terminal, or false where there is none.
	Window func() (columns, rows int, ok bool)
}

// Getenv returns a variable of the container's environment.
func (p *FakeProcess) Getenv(name string) string {
	for i := len(p.Spec.Env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(p.Spec.Env[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// ReadFile reads a file of the container: one that was put there, or else of this
// machine.
func (p *FakeProcess) ReadFile(path string) ([]byte, error) {
	for _, f := range p.Spec.Files {
		if f.Path == path {
			return f.Content, nil
		}
	}
	return os.ReadFile(path) //nolint:gosec // a test's own
}

func (f *Fake) process(c *fakeContainer) *FakeProcess {
	id := c.ID
	p := &FakeProcess{
		Spec: c.spec, Signals: c.signals, Stdin: strings.NewReader(""),
		Stdout: c.log.writer(false), Stderr: c.log.writer(true),
		OutOfMemory: func() { f.OutOfMemory(id) },
		Window:      func() (int, int, bool) { return 0, 0, false },
	}
	if s := c.session; s != nil {
		s.connect(p)
		s.signals = c.signals
		s.kill = func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			c.kill(137)
		}
	}
	return p
}

// Webapp is the program of test containers: a tool, if its command says so, else
// webapp.Run. That listens for real, on the container's address, if that is one of
// 127.0.0.0/8; else it only behaves as if.
func Webapp(ctx context.Context, p *FakeProcess) int {
	if command := p.Spec.Command; len(command) > 1 && command[0] == testapp {
		return webapp.Tool(ctx, webapp.Process{
			Getenv: p.Getenv, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Signal: p.Signals, Window: p.Window,
			OutOfMemory: func() {
				p.OutOfMemory()
				<-ctx.Done()
			},
		}, command[1], command[2:])
	}
	getenv := p.Getenv
	if ip, err := netip.ParseAddr(p.Spec.Address); err != nil || !ip.IsLoopback() {
		getenv = func(name string) string {
			if name == "LISTEN" {
				return "none"
			}
			return p.Getenv(name)
		}
	}
	return webapp.Run(ctx, webapp.Process{
		Getenv: getenv, ReadFile: p.ReadFile, Host: p.Spec.Address, Stdout: p.Stdout, Stderr: p.Stderr, Signal: p.Signals,
		OutOfMemory: func() {
			p.OutOfMemory()
			<-ctx.Done()
		},
	})
}

// Idle is a program that does nothing until it is told to end. It needs no network
// and no wall clock, so it runs inside of testing/synctest.
func Idle(ctx context.Context, p *FakeProcess) int {
	select {
	case <-ctx.Done():
		return 137
	case <-p.Signals:
		return 0
	}
}
