package sshd_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// played is a program that takes the console: it says what happens there, passes what
// is typed through, and ends at the end of that.
func played(raw bool) func(context.Context, call) int {
	return func(ctx context.Context, c call) int {
		kind, size := c.stdio.Console.Terminal()
		_, _ = fmt.Fprintf(c.stdio.Out, "%s %dx%d\n", kind, size.Columns, size.Rows)
		controls, release, err := c.stdio.Console.Take(raw)
		if err != nil {
			_, _ = fmt.Fprintln(c.stdio.Err, err)
			return 1
		}
		typed := make(chan struct{})
		go func() { // ends with the session
			defer close(typed)
			_, _ = io.Copy(c.stdio.Out, c.stdio.In)
		}()
		for {
			select {
			case ctl := <-controls:
				_, _ = fmt.Fprintf(c.stdio.Out, "<%s%v>", ctl.Signal, ctl.Window)
				if ctl.Signal != "TERM" {
					continue
				}
			case <-typed:
			case <-ctx.Done():
				return 130
			}
			release()
			_, _ = fmt.Fprint(c.stdio.Out, "\nover\n")
			return 0
		}
	}
}

// A program that takes a terminal gets every key as it is pressed, every size, and
// every signal.
func TestConsole_OfATerminal(t *testing.T) {
	h := openHouse(t)
	h.onCommand(played(true))
	session, err := h.dial(t, "alice").NewSession()
	require.NoError(t, err)
	var out text
	session.Stdout = &out
	keys, err := session.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, session.RequestPty("xterm-256color", 24, 80, ssh.TerminalModes{}))
	require.NoError(t, session.Start("play"))
	see := func(want string) {
		t.Helper()
		(&background{t: t, out: &out}).see(want)
	}
	see("xterm-256color 80x24\r\n")
	see("<{80 24}>")
	require.NoError(t, session.WindowChange(50, 132))
	see("<{132 50}>")
	for _, pressed := range []string{"\x03", "\x04", "\x7f", "\r", "\x1b[A", "ü\xff", strings.Repeat("much ", 10_000)} {
		_, err := io.WriteString(keys, pressed)
		require.NoError(t, err)
		see(pressed)
	}
	require.NoError(t, session.Signal("INT"))
	see("<INT{0 0}>")
	require.NoError(t, session.Signal("TERM"))
	require.NoError(t, session.Wait())
	require.True(t, strings.HasSuffix(out.String(), "\r\nover\r\n"), "lines end as before again")
	require.NotContains(t, out.String(), "\r\r")
}

// Without a terminal there is nothing raw to take; signals are still the program's.
func TestConsole_WithoutATerminal(t *testing.T) {
	h := openHouse(t)
	h.onCommand(played(false))
	session, err := h.dial(t, "alice").NewSession()
	require.NoError(t, err)
	var out text
	session.Stdout = &out
	keys, err := session.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, session.Start("play"))
	b := &background{t: t, out: &out}
	b.see(" 0x0\n")
	require.NoError(t, session.Signal("QUIT"))
	b.see("<QUIT{0 0}>")
	_, err = io.WriteString(keys, "a\nb\r\x03")
	require.NoError(t, err)
	b.see("a\nb\r\x03")
	require.NoError(t, keys.Close())
	require.NoError(t, session.Wait())

	h.onCommand(played(true))
	got := finish(t, h.ssh("play"))
	require.Equal(t, 1, got.exit)
	require.Contains(t, got.err, "it is no terminal")
}

// A program that is attached ends with its client, on a terminal too: there a lost
// client is no key that is pressed.
func TestConsole_LostClient(t *testing.T) {
	h := openHouse(t)
	left := make(chan error, 1)
	h.onCommand(func(ctx context.Context, c call) int {
		_, release, err := c.stdio.Console.Take(true)
		if err != nil {
			left <- err
			return 1
		}
		defer release()
		_, _ = fmt.Fprintln(c.stdio.Out, "taken")
		<-ctx.Done()
		left <- nil
		return 130
	})
	cmd := h.sshAs("alice", "-tt", "octo@127.0.0.1", "play")
	keys, err := cmd.StdinPipe()
	require.NoError(t, err)
	b := start(t, cmd)
	b.see("taken")
	_, err = keys.Write(make([]byte, 100_000)) // which nobody reads
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	require.NoError(t, within(t, left))
}

// What a client says of its terminal is checked: some of it becomes an environment.
func TestConsole_StrangeTerminals(t *testing.T) {
	h := openHouse(t)
	h.onCommand(func(_ context.Context, c call) int {
		kind, size := c.stdio.Console.Terminal()
		_, _ = fmt.Fprintf(c.stdio.Out, "%q %v", kind, size)
		return 0
	})
	client := h.dial(t, "alice")
	for kind, want := range map[string]string{
		"":                        `"dumb" {80 24}`,
		"x\x00y":                  `"dumb" {80 24}`,
		"a=b\nc":                  `"dumb" {80 24}`,
		strings.Repeat("x", 1000): `"dumb" {80 24}`,
		"rxvt-unicode":            `"rxvt-unicode" {80 24}`,
	} {
		session, err := client.NewSession()
		require.NoError(t, err)
		require.NoError(t, session.RequestPty(kind, 0, 1<<30, nil))
		out, err := session.Output("x")
		require.NoError(t, err)
		require.Equal(t, want, string(out))
	}
	session, err := client.NewSession()
	require.NoError(t, err)
	ok, err := session.SendRequest("pty-req", true, []byte("nonsense"))
	require.NoError(t, err)
	require.False(t, ok)
	ok, err = session.SendRequest("window-change", true, []byte{1})
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, session.Close())
}
