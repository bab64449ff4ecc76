package sshd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestSession_RunsCommands(t *testing.T) {
	h := openHouse(t)
	h.onCommand(func(_ context.Context, c call) int {
		in, _ := io.ReadAll(c.stdio.In)
		_, _ = fmt.Fprintf(c.stdio.Out, "%s %q %s terminal=%t\n", c.who.User, c.args, in, c.on)
		_, _ = fmt.Fprintln(c.stdio.Err, "progress")
		return 42
	})
	cmd := h.ssh("config:set", "'A=b c'", `B=\"x\"`, "C=http://x/?a=1&b=2")
	cmd.Stdin = strings.NewReader("input")
	require.Equal(t, result{`alice ["config:set" "A=b c" "B=\"x\"" "C=http://x/?a=1&b=2"] input terminal=false` + "\n", "progress\n", 42}, finish(t, cmd))
}

func TestSession_CarriesALot(t *testing.T) {
	h := openHouse(t)
	h.onCommand(func(_ context.Context, c call) int {
		if _, err := io.Copy(c.stdio.Out, c.stdio.In); err != nil {
			return 1
		}
		return 0
	})
	much := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	cmd := h.ssh("cat")
	cmd.Stdin = bytes.NewReader(much)
	got := finish(t, cmd)
	require.Zero(t, got.exit)
	require.True(t, string(much) == got.out, "all of it, as it was")
}

func TestSession_EndsWithoutReadingItsInput(t *testing.T) {
	h := openHouse(t)
	h.onCommand(func(context.Context, call) int { return 3 })
	cmd := h.ssh("x")
	cmd.Stdin = bytes.NewReader(make([]byte, 8<<20))
	require.Equal(t, 3, finish(t, cmd).exit)
}

func TestSession_RefusesShellSyntax(t *testing.T) {
	h := openHouse(t)
	for _, line := range []string{"apps; id", "apps ;id", "apps | id", "apps && id", "apps > /etc/passwd", "apps `id`", "apps\nid", "git-receive-pack 'hello'; id", "git-receive-pack 'hello' & id"} {
		got := finish(t, h.ssh(line))
		require.Equal(t, 2, got.exit, line)
		require.Contains(t, got.err, "octohost runs no shell, so", line)
		require.Empty(t, got.out, line)
	}
	got := finish(t, h.ssh("apps 'open"))
	require.Equal(t, 2, got.exit)
	require.Contains(t, got.err, "a quote is not closed")
	require.Equal(t, `alice ["apps;id" "$(id)" "*" "a;b"]`+"\n", finish(t, h.ssh(`'apps;id' '$(id)' '*' "a;b"`)).out, "quoted, or inside a word, it is text")
}

func TestSession_RefusesNamesThatAreNone(t *testing.T) {
	h := openHouse(t)
	for _, name := range []string{"../x", "/../../etc", "Hello", strings.Repeat("a", 64), "", "/", ".git", "a/b", "-x", "a;id", "a b", "a\x01b", "~root"} {
		for _, service := range []string{"git-receive-pack", "git receive-pack", "git-upload-pack", "git upload-pack"} {
			got := finish(t, h.ssh(service+" '"+name+"'"))
			require.Equal(t, 128, got.exit, "%s %q", service, name)
			require.Contains(t, got.err, "is not a valid name", "%s %q", service, name)
			require.Contains(t, got.err, "use a letter, then letters")
		}
	}
	for line, want := range map[string]string{
		"git-receive-pack":               "git receive-pack needs the name of one app",
		"git-receive-pack a b":           "git receive-pack needs the name of one app",
		"git-receive-pack --help":        "is not a valid name",
		"git-upload-archive 'hello'":     "git upload-archive is not served here, only push, fetch and clone",
		"git status":                     "git status is not served here",
		"git-shell -c 'git-upload-pack'": "git shell is not served here",
	} {
		got := finish(t, h.ssh(line))
		require.Equal(t, 128, got.exit, line)
		require.Contains(t, got.err, want, line)
	}
	require.Empty(t, h.apps, "nothing was created")
}

func TestSession_ExitStatusOfRefusals(t *testing.T) {
	h := openHouse(t, nil...)
	for _, test := range []struct {
		kind error
		exit int
	}{
		{octo.ErrNotFound, 3}, {octo.ErrDenied, 4}, {octo.ErrInvalid, 2}, {octo.ErrConflict, 1}, {octo.ErrUnavailable, 1},
	} {
		h.onCommand(func(context.Context, call) int { return test.exit })
		require.Equal(t, test.exit, finish(t, h.ssh("x")).exit)
	}
	h.onCommand(func(context.Context, call) int { return -1 })
	require.Equal(t, 1, finish(t, h.ssh("x")).exit)
}

func TestSession_GreetsWhoLooksForAShell(t *testing.T) {
	h := openHouse(t)
	got := finish(t, h.ssh())
	require.Zero(t, got.exit)
	require.Contains(t, got.out, "Hello alice, this is octohost. There is no shell here")
	got = finish(t, h.sshAs("alice", "-tt", "octo@127.0.0.1"))
	require.Zero(t, got.exit)
	require.Contains(t, got.out, "There is no shell here, but you can:\r\n")
}

func TestSession_Terminal(t *testing.T) {
	h := openHouse(t)
	h.onCommand(func(_ context.Context, c call) int {
		var line string
		_, _ = fmt.Fscanln(c.stdio.In, &line)
		_, _ = fmt.Fprintf(c.stdio.Out, "got %s terminal=%t\n", line, c.on)
		return 0
	})
	cmd := h.sshAs("alice", "-tt", "octo@127.0.0.1", "confirm")
	cmd.Stdin = strings.NewReader("helllo\x7f\x7fo\r")
	got := finish(t, cmd)
	require.Zero(t, got.exit)
	require.Contains(t, got.out, "got hello terminal=true\r\n")
}

// following is a command that goes on until it is cancelled.
func following(cancelled chan<- struct{}) func(context.Context, call) int {
	return func(ctx context.Context, c call) int {
		_, _ = fmt.Fprintln(c.stdio.Out, "following")
		<-ctx.Done()
		cancelled <- struct{}{}
		return 130
	}
}

func TestSession_CtrlCEndsACommand(t *testing.T) {
	h := openHouse(t)
	cancelled := make(chan struct{}, 1)
	h.onCommand(following(cancelled))
	t.Run("by a lost connection", func(t *testing.T) {
		b := start(t, h.ssh("logs", "-f"))
		b.see("following")
		b.interrupt()
		within(t, cancelled)
	})
	t.Run("by the key on a terminal", func(t *testing.T) {
		cmd := h.sshAs("alice", "-tt", "octo@127.0.0.1", "logs", "-f")
		keys, err := cmd.StdinPipe()
		require.NoError(t, err)
		b := start(t, cmd)
		b.see("following")
		_, err = io.WriteString(keys, "typed ahead\x03")
		require.NoError(t, err)
		within(t, cancelled)
		exit, _ := b.end()
		require.Equal(t, 130, exit)
	})
}

func TestSession_SignalEndsACommand(t *testing.T) {
	h := openHouse(t)
	cancelled := make(chan struct{}, 1)
	h.onCommand(following(cancelled))
	session, err := h.dial(t, "alice").NewSession()
	require.NoError(t, err)
	require.NoError(t, session.Start("logs -f"))
	require.NoError(t, session.Signal("INT"))
	within(t, cancelled)
	require.ErrorContains(t, session.Wait(), "status 130")
}

func TestSession_OffersNothingElse(t *testing.T) {
	h := openHouse(t)
	for name, args := range map[string][]string{
		"subsystem":   {"-s", "octo@127.0.0.1", "sftp"},
		"stdio":       {"-W", "127.0.0.1:22", "octo@127.0.0.1"},
		"remote port": {"-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:22", "octo@127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 255, finish(t, h.sshAs("alice", args...)).exit)
		})
	}
	client := h.dial(t, "alice")
	_, err := client.Dial("tcp", "127.0.0.1:"+h.port)
	require.ErrorContains(t, err, "no forwarding here")
	session, err := client.NewSession()
	require.NoError(t, err)
	require.Error(t, session.Setenv("LD_PRELOAD", "/tmp/x.so"))
	require.Error(t, session.Setenv("GIT_PROTOCOL", "version=2:x"))
	require.NoError(t, session.Setenv("GIT_PROTOCOL", "version=2"))
	ok, err := session.SendRequest("auth-agent-req@openssh.com", true, nil)
	require.NoError(t, err)
	require.False(t, ok)
	ok, err = session.SendRequest("x11-req", true, nil)
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, session.Close())
}

func TestSession_OnlyOneCommand(t *testing.T) {
	h := openHouse(t)
	cancelled := make(chan struct{}, 1)
	h.onCommand(following(cancelled))
	session, err := h.dial(t, "alice").NewSession()
	require.NoError(t, err)
	require.NoError(t, session.Start("logs"))
	ok, err := session.SendRequest("exec", true, []byte("\x00\x00\x00\x02id"))
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, session.Close())
	within(t, cancelled)
}

func TestSession_StreamsTheAPI(t *testing.T) {
	h := openHouse(t)
	session, err := h.dial(t, "alice").NewSession()
	require.NoError(t, err)
	in, err := session.StdinPipe()
	require.NoError(t, err)
	out, err := session.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, session.Start("octo-api"))
	for _, word := range []string{"ping", "pong"} {
		_, err = io.WriteString(in, word)
		require.NoError(t, err)
		got := make([]byte, len(word))
		_, err = io.ReadFull(out, got)
		require.NoError(t, err)
		require.Equal(t, word, string(got))
	}
	require.NoError(t, in.Close())
	require.NoError(t, session.Wait())
}
