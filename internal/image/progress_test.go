package image

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
)

const succeeded = `#0 building with "default" instance using docker driver

#1 [internal] load remote build context
#1 DONE 0.1s

#2 copy /context /
#2 DONE 0.1s

#3 [internal] load metadata for docker.io/library/golang:1.26
#3 DONE 0.7s

#4 [1/3] FROM docker.io/library/golang:1.26@sha256:abc
#4 sha256:abc 0B / 12MB 0.2s
#4 DONE 2.0s

#5 [2/3] COPY server /server
#5 CACHED

#6 [3/3] RUN make
#6 0.213 cc -o hello
#6 0.214 
#6 ...

#7 [other 1/1] RUN other
#7 0.100 other
#7 DONE 0.2s

#6 [3/3] RUN make
#6 0.415 done
#6 DONE 0.5s

#8 exporting to image
#8 exporting layers done
#8 writing image sha256:6f66 done
#8 naming to docker.io/library/x:y done
#8 DONE 0.0s
`

const wantSucceeded = `looking up docker.io/library/golang:1.26
[1/3] FROM docker.io/library/golang:1.26@sha256:abc
[2/3] COPY server /server (cached)
[3/3] RUN make
  cc -o hello
` + "  \n" + `[other 1/1] RUN other
  other
[3/3] RUN make (goes on)
  done
`

const failed = `#5 [2/2] RUN false
#5 0.101 no
#5 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1
------
 > [2/2] RUN false:
0.101 no
------
Dockerfile:2
--------------------
   1 |     FROM debian
   2 | >>> RUN false
--------------------
ERROR: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1
`

func TestProgress(t *testing.T) {
	for _, size := range []int{1, 7, 100000} {
		var out bytes.Buffer
		p := newProgress(engine.NewSteps(&out))
		for part := range slices.Chunk([]byte(succeeded), size) {
			_, err := p.Write(part)
			require.NoError(t, err)
		}
		p.end()
		want := strings.ReplaceAll(wantSucceeded, "  \n", "\n")
		if size < len(succeeded) {
			// What does not come in one go is announced before it turns out to be cached.
			want = strings.Replace(want, " (cached)", "\n  (cached)", 1)
		}
		require.Equal(t, want, strings.ReplaceAll(out.String(), "  \n", "\n"))
		require.Empty(t, p.failure)
	}
}

func TestProgress_Failure(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(engine.NewSteps(&out))
	_, err := io.WriteString(p, failed)
	require.NoError(t, err)
	p.end()
	require.Equal(t, "[2/2] RUN false\n  no\n", out.String())
	require.Equal(t, "[2/2] RUN false", p.failed)
	require.Equal(t, `failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1`, p.failure)
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte(succeeded))
	f.Add([]byte(failed))
	f.Add([]byte("#1 x\n#1 CACHED\n#1 1.0\n#\n#x y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, parts := newProgress(engine.NewSteps(io.Discard)), newProgress(engine.NewSteps(io.Discard))
		_, _ = whole.Write(data) // never fails
		for i := range data {
			_, _ = parts.Write(data[i : i+1]) // never fails
		}
		whole.end()
		parts.end()
		require.Equal(t, whole.failure, parts.failure)
		require.Equal(t, whole.failed, parts.failed)
	})
}
