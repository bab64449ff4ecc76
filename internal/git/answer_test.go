package git

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func FuzzReadRequest(f *testing.F) {
	zero, id := strings.Repeat("0", 40), strings.Repeat("a", 40)
	hello := appendFlush(appendPkt(nil, "version=1\x00push-options atomic"))
	commands := appendFlush(appendPkt(bytes.Clone(hello), zero, " ", id, " refs/heads/main\n"))
	f.Add(commands)
	f.Add(appendFlush(appendPkt(commands, "no-wait")))
	f.Add(appendFlush(appendPkt(bytes.Clone(hello), "x")))
	f.Add([]byte("0000"))
	f.Add([]byte("0004"))
	f.Add([]byte("fffg"))
	f.Add([]byte("0001"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := newOutput(io.Discard)
		req, err := readRequest(bufio.NewReader(bytes.NewReader(b)), out)
		_ = out.close()
		if err != nil {
			return
		}
		for _, c := range req.commands {
			if !isObject(c.old) || !isObject(c.new) || !strings.HasPrefix(c.ref, "refs/") {
				t.Fatalf("accepted %q", c)
			}
		}
	})
}

func TestJudge_EveryRefGetsAVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		branch := rapid.SampledFrom([]string{"", "main", "live", "a/b"}).Draw(t, "branch")
		refs := rapid.SampledFrom([]string{"refs/heads/main", "refs/heads/master", "refs/heads/live", "refs/heads/a/b", "refs/heads/dev", "refs/tags/main", "refs/x"})
		ids := rapid.SampledFrom([]string{strings.Repeat("0", 40), strings.Repeat("a", 40)})
		req := request{atomic: rapid.Bool().Draw(t, "atomic")}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			req.commands = append(req.commands, command{ids.Draw(t, "old"), ids.Draw(t, "new"), refs.Draw(t, "ref")})
		}

		verdicts, chosen := judge(branch, req)

		require.Len(t, verdicts, len(req.commands))
		for i, v := range verdicts {
			require.Equal(t, req.commands[i].ref, v.ref)
			require.Equal(t, i == chosen, v.reason == "", "granted is what deploys, and nothing else")
		}
		if chosen >= 0 {
			c := req.commands[chosen]
			require.False(t, isZero(c.new))
			require.Contains(t, deploying(branch), strings.TrimPrefix(c.ref, branchPrefix))
		}
	})
}

func TestQueue_OneAtATimeInOrder(t *testing.T) {
	var q queue
	var g sync.WaitGroup
	inside := 0
	for range 50 {
		g.Go(func() {
			leave, err := q.wait(context.Background(), "hello", func(int) {})
			if err != nil {
				t.Error(err)
			}
			inside++ // the race detector and the count see a second one
			if inside != 1 {
				t.Errorf("%d at a time", inside)
			}
			inside--
			leave()
			leave() // once more does nothing
		})
	}
	g.Wait()
	require.Empty(t, q.lines)
}

func TestQueue_LeavesWithItsContext(t *testing.T) {
	var q queue
	leave, err := q.wait(t.Context(), "hello", nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = q.wait(ctx, "hello", func(int) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	leave()
	require.Empty(t, q.lines)
}

// broken is a hook that has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestOutput_NeverFailsTheDeploy(t *testing.T) {
	out := newOutput(broken{})
	for range 1000 {
		n, err := out.Write(bytes.Repeat([]byte("x"), 5000))
		require.NoError(t, err)
		require.Equal(t, 5000, n)
	}
	out.answer([]verdict{{"refs/heads/main", ""}})
	require.ErrorIs(t, out.close(), io.ErrClosedPipe)
}

func TestOutput_SplitsWhatIsLong(t *testing.T) {
	var to bytes.Buffer
	out := newOutput(&to)
	long := strings.Repeat("y", 3*maxPkt)
	_, _ = io.WriteString(out, long)
	out.answer(nil)
	require.NoError(t, out.close())
	var stdout, stderr bytes.Buffer
	require.NoError(t, relay(bufio.NewReader(&to), &stdout, &stderr))
	require.Equal(t, long, stderr.String())
	require.Equal(t, "0000", stdout.String())
}

func TestReason_IsOneCleanLine(t *testing.T) {
	require.Equal(t, "a b c", oneLine(" a\nb\tc\x1b\x00 "))
	require.Less(t, len(oneLine(strings.Repeat("é", 10_000))), 500)
}
