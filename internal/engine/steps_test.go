package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSteps_ReadsWell(t *testing.T) {
	var out bytes.Buffer
	s := NewSteps(&out)
	s.Begin("[1/3] FROM golang")
	s.Cached("[2/3] COPY . /src")
	s.Begin("[3/3] RUN make")
	s.Output("[3/3] RUN make", "cc -o he")
	s.Output("[3/3] RUN make", "llo\n\x1b[91mwarning\x1b[0m: 10%\r50%\r100%\r\nlast")
	s.Flush()
	require.Equal(t, `[1/3] FROM golang
[2/3] COPY . /src (cached)
[3/3] RUN make
  cc -o hello
  100%
  last
`, out.String())
}

func TestSteps_TellsParallelStepsApart(t *testing.T) {
	var out bytes.Buffer
	s := NewSteps(&out)
	s.Begin("[a 1/1] RUN a")
	s.Begin("[b 1/1] RUN b")
	s.Output("[a 1/1] RUN a", "one\n")
	s.Output("[a 1/1] RUN a", "two\n")
	s.Output("[b 1/1] RUN b", "three\n")
	require.Equal(t, "[a 1/1] RUN a\n[b 1/1] RUN b\n[a 1/1] RUN a (goes on)\n  one\n  two\n[b 1/1] RUN b (goes on)\n  three\n", out.String())
}

func FuzzSteps(f *testing.F) {
	f.Add("step", "text\nmore\x1b[1m\r\n")
	f.Add("\x1b]0;title\x07", strings.Repeat("x", 5000))
	f.Fuzz(func(t *testing.T, step, text string) {
		var out bytes.Buffer
		s := NewSteps(&out)
		s.Begin(step)
		s.Output(step, text)
		s.Output("other", text)
		s.Flush()
		for _, r := range out.String() {
			if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r <= 0x9f) {
				t.Fatalf("control character %q in %q", r, out.String())
			}
		}
	})
}
