package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
	"github.com/octohost/octohost/internal/engine/enginetest/webapp"
	"github.com/octohost/octohost/internal/octo"
)

// ran is an octohost with an app that has a release.
func ran(t *testing.T) *apitest.World {
	t.Helper()
	w := apitest.New()
	for _, app := range []octo.Name{"hello", "bare"} {
		_, err := w.CreateApp(t.Context(), admin, app)
		require.NoError(t, err)
		w.Deploy(app, "1111111", "alice")
	}
	return w
}

// heard collects output, and wakes those who wait for it.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newHeard() *heard { return &heard{more: make(chan struct{}, 1)} }

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// hears waits until text was printed.
func (h *heard) hears(t *testing.T, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(h.String(), text) {
		select {
		case <-h.more:
		case <-late:
			t.Fatalf("%q is never said, but %q", text, h.String())
		}
	}
}

func command(words ...string) octo.Program { return octo.Program{Command: words} }

func TestAttach_StreamsAndExit(t *testing.T) {
	throughDoors(t, admin, ran(t).Config, func(t *testing.T, c *api.Client) {
		out, problems := newHeard(), newHeard()
		binary := "a\x00b\xff\r\n" + strings.Repeat("x", 70_000)
		var began octo.Run
		exit, err := c.Run(t.Context(), "hello", command("cat"), octo.Attachment{
			In: io.NopCloser(strings.NewReader(binary)), Out: out, Err: problems, Began: func(r octo.Run) { began = r },
		})
		require.NoError(t, err)
		require.Equal(t, octo.Exit{}, exit)
		require.Equal(t, binary, out.String())
		require.Equal(t, "root", began.User)
		require.True(t, began.Attached)

		exit, err = c.Run(t.Context(), "hello", command("exit", "7"), octo.Attachment{Out: out, Err: problems})
		require.NoError(t, err)
		require.Equal(t, 7, exit.Code)
		exit, err = c.Run(t.Context(), "hello", command("complain", "so", "bad"), octo.Attachment{Out: out, Err: problems})
		require.NoError(t, err)
		require.Zero(t, exit.Code)
		require.Equal(t, "so\nbad\n", problems.String())
		exit, err = c.Enter(t.Context(), "bare", "web.1", octo.Program{}, octo.Attachment{Out: out, Err: problems})
		require.NoError(t, err)
		require.Equal(t, octo.Exit{Code: 127, Message: "there is no sh in the image of bare", Hint: "name a program that it has: octo enter -a bare -- PROGRAM"}, exit)
	})
}

// Much comes through in both directions at once, and nobody keeps it in memory: the
// input is larger than every buffer on its way, and waits for the output to be read.
func TestAttach_Amounts(t *testing.T) {
	const much = 16 << 20
	throughDoors(t, admin, ran(t).Config, func(t *testing.T, c *api.Client) {
		want, got := sha256.New(), sha256.New()
		in := io.TeeReader(webapp.Flood(much), want)
		exit, err := c.Run(t.Context(), "hello", command("cat"), octo.Attachment{In: io.NopCloser(in), Out: got, Err: io.Discard})
		require.NoError(t, err)
		require.Zero(t, exit.Code)
		require.Equal(t, want.Sum(nil), got.Sum(nil))
	})
}

func TestAttach_Controls(t *testing.T) {
	throughDoors(t, admin, ran(t).Config, func(t *testing.T, c *api.Client) {
		out, controls := newHeard(), make(chan octo.Control)
		ended := make(chan error, 1)
		p := command("window", "2")
		p.Terminal, p.Window, p.Term = true, octo.Window{Columns: 80, Rows: 24}, "xterm"
		go func() {
			_, err := c.Run(t.Context(), "hello", p, octo.Attachment{Out: out, Controls: controls})
			ended <- err
		}()
		out.hears(t, "80x24")
		controls <- octo.Control{Window: octo.Window{Columns: 100, Rows: 30}}
		require.NoError(t, <-ended)
		require.Equal(t, "80x24\n100x30\n", out.String())
	})
}

// Signals get through even where the program does not read, and much is waiting to be
// read.
func TestAttach_SignalsPassWaitingInput(t *testing.T) {
	throughDoors(t, admin, ran(t).Config, func(t *testing.T, c *api.Client) {
		out, controls := newHeard(), make(chan octo.Control)
		ended := make(chan octo.Exit, 1)
		go func() {
			exit, err := c.Run(t.Context(), "hello", command("signals", "1"), octo.Attachment{
				In: io.NopCloser(webapp.Flood(64 << 20)), Out: out, Err: out, Controls: controls,
			})
			if err != nil {
				t.Error(err)
			}
			ended <- exit
		}()
		out.hears(t, "ready\n")
		controls <- octo.Control{Signal: "INT"}
		require.Zero(t, (<-ended).Code)
		require.Equal(t, "ready\nINT\n", out.String())
	})
}

// A program ends with those who are attached to it, whether it prints or not.
func TestAttach_EndsWithItsClient(t *testing.T) {
	w := ran(t)
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		began := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			_, err := c.Run(ctx, "hello", command("sleep", "1h"), octo.Attachment{
				In: io.NopCloser(&never{ctx: ctx}), Out: io.Discard, Err: io.Discard, Began: func(octo.Run) { close(began) },
			})
			ended <- err
		}()
		<-began
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		runs := func() (running int) {
			all, err := w.Runs(t.Context(), "hello")
			require.NoError(t, err)
			for _, r := range all {
				if r.State == octo.RunRunning {
					running++
				}
			}
			return running
		}
		require.Eventually(t, func() bool { return runs() == 0 }, 10*time.Second, time.Millisecond)

		broken := errors.New("broken")
		_, err := c.Run(t.Context(), "hello", command("flood", "1000000"), octo.Attachment{Out: failing{broken}, Err: io.Discard})
		require.ErrorIs(t, err, broken)
		require.Eventually(t, func() bool { return runs() == 0 }, 10*time.Second, time.Millisecond)
	})
}

// never is input that does not come.
type never struct{ ctx context.Context }

func (n *never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}

// failing is a reader of output that is gone.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestAttach_Refused(t *testing.T) {
	w := ran(t)
	_, err := w.CreateApp(t.Context(), admin, "empty")
	require.NoError(t, err)
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		in := func() octo.Attachment {
			return octo.Attachment{In: io.NopCloser(webapp.Flood(1 << 20)), Out: io.Discard, Err: io.Discard}
		}
		began := time.Now()
		_, err := c.Run(t.Context(), "empty", command("cat"), in())
		require.ErrorIs(t, err, octo.ErrConflict)
		_, err = c.Run(t.Context(), "nothing", command("cat"), in())
		require.ErrorIs(t, err, octo.ErrNotFound)
		_, err = c.Run(t.Context(), "Bad", command("cat"), in())
		require.ErrorIs(t, err, octo.ErrInvalid)
		_, err = c.Enter(t.Context(), "hello", "web.9", command("cat"), in())
		require.ErrorIs(t, err, octo.ErrNotFound)
		_, err = c.App(t.Context(), "hello") // all is well afterwards
		require.NoError(t, err)
		require.Less(t, time.Since(began), 10*time.Second)
	})
	throughDoors(t, alice, w.Config, func(t *testing.T, c *api.Client) {
		_, err := c.Run(t.Context(), "hello", command("cat"), octo.Attachment{Out: io.Discard, Err: io.Discard})
		require.ErrorIs(t, err, octo.ErrNotFound)
		_, err = c.Runs(t.Context(), "hello")
		require.ErrorIs(t, err, octo.ErrNotFound)
	})
}

func TestClient_Runs(t *testing.T) {
	w := ran(t)
	throughDoors(t, admin, w.Config, func(t *testing.T, c *api.Client) {
		said, err := c.Detach(t.Context(), "hello", command("say", "one", "two"))
		require.NoError(t, err)
		slept, err := c.Detach(t.Context(), "hello", octo.Program{Command: []string{"sleep", "1h"}, TTL: octo.Duration(time.Hour)})
		require.NoError(t, err)
		require.WithinDuration(t, slept.Started.Add(time.Hour), slept.Expires, time.Second)
		runs, err := c.Runs(t.Context(), "hello")
		require.NoError(t, err)
		require.Equal(t, octo.RunRunning, runs[len(runs)-1].State)
		var lines []string
		for line, err := range c.RunLogs(t.Context(), "hello", said.Name, octo.LogQuery{}) {
			require.NoError(t, err)
			lines = append(lines, line.Text)
		}
		require.Equal(t, []string{"one", "two"}, lines)
		stopped, err := c.StopRun(t.Context(), "hello", slept.Name)
		require.NoError(t, err)
		require.Equal(t, slept, stopped)
		_, err = c.StopRun(t.Context(), "hello", slept.Name)
		require.ErrorIs(t, err, octo.ErrNotFound)
		for _, err := range c.RunLogs(t.Context(), "hello", "run.x", octo.LogQuery{}) {
			require.ErrorIs(t, err, octo.ErrNotFound)
		}
	})
}

// Whoever waits for a program learns at once that nobody will answer.
func TestAttach_NoAnswerComes(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(net.Conn, context.CancelFunc)
		want string
	}{
		"the server dies":     {func(conn net.Conn, _ context.CancelFunc) { _ = conn.Close() }, "the connection to octohost ended before it answered"},
		"the client gives up": {func(_ net.Conn, leave context.CancelFunc) { leave() }, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close() //nolint:errcheck // nobody reads from it any more
			client := api.NewClient(func(context.Context) (net.Conn, error) { return near, nil })
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			over := make(chan error, 1)
			go func() {
				_, err := client.Run(ctx, "hello", command("cat"), octo.Attachment{
					In: io.NopCloser(&never{ctx: t.Context()}), Out: io.Discard, Err: io.Discard,
				})
				over <- err
			}()
			asked, err := http.ReadRequest(bufio.NewReader(far))
			require.NoError(t, err)
			require.Equal(t, "/v1/apps/hello/runs/attached", asked.URL.Path)
			_, err = asked.Body.Read(make([]byte, 1024)) // all that it has to say for now
			require.NoError(t, err)
			c.end(far, leave)
			select {
			case err := <-over:
				require.ErrorContains(t, err, c.want)
			case <-time.After(20 * time.Second):
				t.Fatal("it waits for ever")
			}
		})
	}
}
