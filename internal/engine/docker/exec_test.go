package docker

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// Where octo may not signal the processes of this machine, a shell in the container
// does it.
func TestExec_SignalsThroughAShell(t *testing.T) {
	y := newYard(t)
	files, lines := enginetest.Shell(t)
	files["Dockerfile"] = enginetest.HelloDockerfile + lines
	box := y.run(enginetest.HelloImage(t, y.Engine, y.host, files), "shell", y.network("net"))
	for _, command := range [][]string{
		{"/testapp", "sleep", "1m"},
		{"sh", "-c", "/testapp sleep 1m; echo not reached"}, // the whole group
	} {
		opened, err := y.Exec(t.Context(), box.ID, engine.ExecSpec{Command: command})
		require.NoError(t, err)
		s := opened.(*execSession)
		now, err := s.inspect(t.Context())
		require.NoError(t, err)
		require.True(t, inContainer(now.PID, box.ID))
		require.False(t, inContainer(1, box.ID))
		require.NoError(t, s.signalInside(t.Context(), now, "TERM"))
		var out bytes.Buffer
		require.NoError(t, s.Copy(&out, &out))
		code, err := s.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 143, code)
		require.NotContains(t, out.String(), "not reached")
		require.NoError(t, s.Close())
	}
	bare := y.run(enginetest.HelloImage(t, y.Engine, y.host, nil), "bare", y.network("net"))
	opened, err := y.Exec(t.Context(), bare.ID, engine.ExecSpec{Command: []string{"/testapp", "sleep", "1m"}})
	require.NoError(t, err)
	s := opened.(*execSession)
	now, err := s.inspect(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, s.signalInside(t.Context(), now, "TERM"), octo.ErrUnavailable)
}

func TestStart_Bare(t *testing.T) {
	y := newYard(t)
	image := enginetest.HelloImage(t, y.Engine, y.host, map[string]string{"Dockerfile": "FROM scratch\nCOPY testapp /testapp\nENTRYPOINT [\"/testapp\", \"say\"]\nCMD [\"default\"]\n"})
	n := y.network("net")
	for want, spec := range map[string]engine.Spec{
		"default\n":                  {},
		"other\n":                    {Command: []string{"other"}},
		"A=1\n":                      {Command: []string{"/testapp", "env", "A"}, Bare: true, Env: []string{"A=1"}},
		"/testapp\nexit\nfrom CMD\n": {Command: []string{"/testapp", "exit", "from CMD"}},
	} {
		spec.Name, spec.Image, spec.Labels, spec.Network = y.host+"-bare", image, y.labels, n.Name
		c, s, err := y.StartAttached(t.Context(), spec, engine.Attach{})
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, s.Copy(&out, &out))
		require.Equal(t, want, out.String())
		require.NoError(t, s.Close())
		require.NoError(t, y.Remove(t.Context(), c.ID))
	}
}

func TestRefusal(t *testing.T) {
	for name, c := range map[string]struct {
		says, passes string
		code         int
		missing      bool
		refused      bool
	}{
		"nothing":         {"", "", 0, false, false},
		"output":          {"hello\n", "hello\n", 0, false, false},
		"begins alike":    {"O", "O", 127, false, false},
		"begins like it":  {"OCI is a standard\n", "OCI is a standard\n", 127, false, false},
		"missing":         {"OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": executable file not found in $PATH: unknown\r\n", "", 127, true, true},
		"missing path":    {"OCI runtime exec failed: … exec: \"/bin/sh\": stat /bin/sh: no such file or directory: unknown\r\n", "", 127, true, true},
		"no program":      {"OCI runtime exec failed: … permission denied: unknown\r\n", "", 126, false, true},
		"init":            {"[FATAL tini (7)] exec sh failed: No such file or directory\n", "", 127, true, true},
		"a program's own": {"[FATAL tini (7)] just kidding", "[FATAL tini (7)] just kidding", 0, false, false},
		"much":            {"[FATAL tini " + strings.Repeat("x", maxRefusal), "[FATAL tini " + strings.Repeat("x", maxRefusal), 127, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []io.Reader{strings.NewReader(c.says), iotest.OneByteReader(strings.NewReader(c.says))} {
				var out bytes.Buffer
				r := &refusal{to: &out}
				_, err := io.Copy(r, from)
				require.NoError(t, err)
				require.NoError(t, r.flush())
				var refused *engine.CommandError
				err = r.error(c.code)
				if !c.refused {
					require.NoError(t, err)
				} else {
					require.ErrorAs(t, err, &refused)
					require.Equal(t, c.missing, refused.Missing)
				}
				require.Equal(t, c.passes, out.String(), "nothing of a program's own is lost")
			}
		})
	}
}

func TestSplit(t *testing.T) {
	text := frame(1, "out") + frame(2, "err") + frame(1, "") + frame(1, " more")
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
		var out, err bytes.Buffer
		require.NoError(t, split(r, &out, &err))
		require.Equal(t, "out more", out.String())
		require.Equal(t, "err", err.String())
	}
	for name, bad := range map[string]string{"stream": frame(9, "x"), "header": "\x01\x00", "frame": frame(1, "xyz")[:9]} {
		require.Error(t, split(strings.NewReader(bad), io.Discard, io.Discard), name)
	}
	require.ErrorIs(t, split(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(text))), io.Discard, io.Discard), iotest.ErrTimeout)
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(frame(1, "out") + frame(2, "err")))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var out bytes.Buffer
		_ = split(bytes.NewReader(stream), &out, &out) // whatever it is
		if out.Len() > len(stream) {
			t.Fatalf("%d bytes of %d", out.Len(), len(stream))
		}
	})
}
