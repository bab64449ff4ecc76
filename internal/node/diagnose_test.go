package node

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

func TestUnhealthy_TellsThePortsApart(t *testing.T) {
	for _, tc := range []struct {
		listeners string
		kind      octo.FailureKind
		message   string
		hint      string
	}{
		{"", octo.FailedPort, "web listens on no port after 60.0 s", "listen on 0.0.0.0 and the port in $PORT (5000)"},
		{"unknown", octo.FailedPort, "web does not accept connections on port 5000 after 60.0 s", "listen on 0.0.0.0 and the port in $PORT (5000)"},
		{"127.0.0.1:5000", octo.FailedLoopback, "web listens on port 5000 of 127.0.0.1 only, where nothing outside its container can reach it", "listen on 0.0.0.0:5000 instead"},
		{"[::1]:5000 0.0.0.0:9000", octo.FailedLoopback, "web listens on port 5000 of 127.0.0.1 only, where nothing outside its container can reach it", "listen on 0.0.0.0:5000 instead"},
		{"0.0.0.0:8080 [::]:8080 127.0.0.1:6060", octo.FailedWrong, "web listens on port 127.0.0.1:6060, 8080, but port 5000 is expected", "listen on 0.0.0.0 and the port in $PORT (5000), or EXPOSE the other port in the Dockerfile"},
		{"[::]:5000", octo.FailedPort, "web listens on port 5000, but did not accept a connection within 60.0 s", "if it needs longer to start, raise [deploy] health_timeout; an IPv6-only socket cannot be reached either"},
	} {
		t.Run(tc.listeners, func(t *testing.T) {
			s := silence{process: octo.NewProcess("web", 5000), took: time.Minute, last: answer{seen: seenRefused}, looked: tc.listeners != "unknown"}
			for l := range strings.FieldsSeq(tc.listeners) {
				if s.looked {
					s.listeners = append(s.listeners, netip.MustParseAddrPort(l))
				}
			}
			require.Equal(t, &octo.Failure{Kind: tc.kind, Message: tc.message, Hint: tc.hint}, unhealthy(s))
		})
	}
}

func TestUnhealthy_TellsBadAnswersApart(t *testing.T) {
	for _, tc := range []struct {
		last    answer
		message string
	}{
		{answer{seen: seenAnswer, status: 502}, "GET /up still answered 502 after 60.0 s"},
		{answer{seen: seenSlow}, "web accepts connections on port 5000, but GET /up got no answer within 5.0 s"},
		{answer{seen: seenClosed}, "web accepts connections on port 5000, but closes them without an answer to GET /up"},
		{answer{seen: seenGarbage}, "what web answers on port 5000 is not HTTP"},
	} {
		p := octo.NewProcess("web", 5000)
		p.Check.Path = "/up"
		f := unhealthy(silence{process: p, took: time.Minute, last: tc.last, looked: true})
		require.Equal(t, octo.FailedCheck, f.Kind)
		require.Equal(t, tc.message, f.Message)
		require.NotEmpty(t, f.Hint)
	}
}

func TestExited(t *testing.T) {
	box := func(code int) *engine.Container {
		return &engine.Container{ExitCode: code, Started: time.Unix(10, 0), Finished: time.Unix(12, 0)}
	}
	p := octo.NewProcess("web", 5000)
	for code, hint := range map[int]string{
		0: "foreground", 1: "last lines", 126: "not found", 127: "not found", 139: "crashed", 134: "crashed", 137: "killed it",
	} {
		f := exited(ending{process: p, box: box(code), attempts: 1})
		require.Equal(t, octo.FailedExit, f.Kind)
		require.Equal(t, fmt.Sprintf("web exited with code %d after 2.0 s", code), f.Message)
		require.Contains(t, f.Hint, hint)
	}
	f := exited(ending{process: p, box: box(137), oom: true})
	require.Equal(t, octo.FailedOOM, f.Kind)
	require.Contains(t, f.Message, "512 MB")
	p.Memory = 0
	require.Contains(t, exited(ending{process: p, box: box(137), oom: true}).Message, "limit of the machine")
}

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext":            "plain\ttext",
		"\x1b[31mred\x1b[0m\r\n": "[31mred[0m",
		"bad \xff byte":          "bad \uFFFD byte",
		"c1 \u009b31m":           "c1 31m",
	} {
		require.Equal(t, want, tidy(in))
	}
	long := tidy(strings.Repeat("é", 1000))
	require.True(t, utf8.ValidString(long))
	require.LessOrEqual(t, len(long), maxLogLine+len("…"))
	require.True(t, strings.HasSuffix(long, "…"))
}

func FuzzTidy(f *testing.F) {
	f.Add("\x1b[31mred\xff")
	f.Add(strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, line string) {
		out := tidy(line)
		require.True(t, utf8.ValidString(out))
		require.LessOrEqual(t, len(out), 3*maxLogLine+len("…"))
		require.NotContains(t, out, "\x1b")
		require.NotContains(t, out, "\n")
	})
}
