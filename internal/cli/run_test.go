package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
	"github.com/octohost/octohost/internal/octo"
)

// Who comes over SSH gets these commands and no others. A new one is added here
// after somebody has thought about what it can reach.
func TestRemote_HasOnlySafeCommands(t *testing.T) {
	// Those that are there have their rows in the table of internal/daemon/rules_test.go.
	local := []string{"serve", "hook", "completion", "remote", "remote:add", "remote:remove"}
	for _, cmd := range newRootCommand(&session{inProcess: true}).Commands() {
		require.NotContains(t, local, cmd.Name())
	}
}

func TestCommands_AreDescribedAlike(t *testing.T) {
	for _, cmd := range newRootCommand(&session{}).Commands() {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		require.False(t, strings.HasSuffix(cmd.Short, "."), cmd.Name())
		for line := range strings.Lines(cmd.Long) {
			require.LessOrEqual(t, len(line), 96, "%s: %s", cmd.Name(), line)
		}
		lists := cmd.Annotations[hasJSON] != ""
		shows := slices.ContainsFunc([]string{"List", "Show", "Look"}, func(verb string) bool { return strings.HasPrefix(cmd.Short, verb) })
		require.True(t, lists || !shows, "%s lists or shows, and has no --json", cmd.Name())
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), exitFailed},
		{octo.Errorf(octo.ErrConflict, "x"), exitFailed},
		{octo.Errorf(octo.ErrInvalid, "x"), exitFailed},
		{usage("y", "x"), exitUsage},
		{fmt.Errorf("z: %w", usage("y", "x")), exitUsage},
		{fmt.Errorf("z: %w", octo.ErrNotFound), exitNotFound},
		{octo.Errorf(octo.ErrDenied, "x"), exitDenied},
	} {
		require.Equal(t, c.want, exitCode(c.err), "%v", c.err)
	}
}

// brokenWriter fails as a pipe does whose reader is gone.
type brokenWriter struct{ err error }

// Write fails.
func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestRun_AReaderThatIsGoneIsNoFailure(t *testing.T) {
	w := apitest.New()
	_, err := w.CreateApp(t.Context(), octo.Identity{User: "alice"}, "hello")
	require.NoError(t, err)
	client := api.InProcess(api.NewServer(w.Config()).Handler(octo.Identity{User: "alice"}))
	for cause, want := range map[error]int{syscall.EPIPE: exitOK, io.ErrClosedPipe: exitOK, io.EOF: exitOK, syscall.ENOSPC: exitFailed} {
		var complaints bytes.Buffer
		stdio := Stdio{Out: brokenWriter{fmt.Errorf("write: %w", cause)}, Err: &complaints}
		for _, args := range [][]string{{"apps"}, {"apps:info", "hello"}, {"events"}, {"apps", "--json"}} {
			complaints.Reset()
			require.Equal(t, want, Remote(t.Context(), args, stdio, client), "%v: %v", cause, args)
			require.Equal(t, want != exitOK, complaints.Len() > 0, complaints.String())
		}
	}
}

func TestRun_AnInterruptIsQuiet(t *testing.T) {
	w := apitest.New()
	client := api.InProcess(api.NewServer(w.Config()).Handler(octo.Identity{User: "root", Admin: true}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, complaints bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- Remote(ctx, []string{"events", "-f"}, Stdio{Out: &out, Err: &complaints}, client) }()
	soonTrue(t, func() bool { return w.Followers() == 1 })
	cancel()
	require.Equal(t, exitInterrupted, <-ended)
	require.Empty(t, complaints.String())
	require.Zero(t, w.Followers(), "the command has ended, so its stream has too")
}

func soonTrue(t *testing.T, so func() bool) {
	require.Eventually(t, so, 20e9, 1e6)
}

// Somebody at a terminal who is asked, and presses Ctrl-C, destroys nothing.
func TestRun_AnInterruptEndsAQuestion(t *testing.T) {
	w := apitest.New()
	_, err := w.CreateApp(t.Context(), octo.Identity{User: "alice"}, "hello")
	require.NoError(t, err)
	client := api.InProcess(api.NewServer(w.Config()).Handler(octo.Identity{User: "alice"}))
	ctx, cancel := context.WithCancel(t.Context())
	in, typing := io.Pipe()
	defer typing.Close() //nolint:errcheck // it ends the read that nobody waits for
	out := &asked{question: make(chan struct{})}
	ended := make(chan int, 1)
	go func() {
		ended <- Remote(ctx, []string{"apps:destroy", "hello"}, Stdio{In: in, Out: out, Err: out, InTerminal: true}, client)
	}()
	<-out.question
	cancel()
	require.Equal(t, exitInterrupted, <-ended)
	_, err = w.App(t.Context(), "hello")
	require.NoError(t, err)
}

// asked is a terminal that tells when something is written to it.
type asked struct {
	question chan struct{}
	once     bool
}

// Write notes that there was a question.
func (a *asked) Write(p []byte) (int, error) {
	if !a.once {
		a.once = true
		close(a.question)
	}
	return len(p), nil
}

func TestRun_TheDaemonsOwnFailureIsTold(t *testing.T) {
	var complaints bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	env := Env{Stdio: Stdio{Out: io.Discard, Err: &complaints}, Serve: func(context.Context, ServeFlags) error {
		cancel()
		return octo.Errorf(octo.ErrUnavailable, "the store cannot be closed")
	}}
	require.Equal(t, exitFailed, Run(ctx, []string{"serve"}, env))
	require.Contains(t, complaints.String(), "the store cannot be closed")

	complaints.Reset()
	require.Equal(t, exitFailed, Run(t.Context(), []string{"serve"}, Env{Stdio: Stdio{Out: io.Discard, Err: &complaints}}))
	require.Contains(t, complaints.String(), "this octo is only a client")
}

// Whatever is typed is understood or refused, and neither harms nor crashes.
func FuzzRemote(f *testing.F) {
	for _, seed := range []string{
		"apps\x00create\x00x", "logs\x00-f\x00--since\x00x", "apps:destroy\x00hello\x00--confirm\x00hello", "--\x00x", "-a\x00", "__complete\x00", "help\x00help", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-f") || strings.HasPrefix(a, "--follow") }) {
			return // it would go on
		}
		client := api.InProcess(api.NewServer(apitest.New().Config()).Handler(octo.Identity{User: "root", Admin: true}))
		code := Remote(context.Background(), args, Stdio{Out: io.Discard, Err: io.Discard}, client)
		if code < exitOK || code > exitDenied {
			t.Fatalf("%q ended with %d", args, code)
		}
	})
}
