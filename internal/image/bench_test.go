package image

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/engine/enginetest"
)

// BenchmarkBuild compares the builders with each other, and with the bare request to
// the classic builder without labels: for a small app of which one file has changed,
// and for thirty steps that are all cached.
func BenchmarkBuild(b *testing.B) {
	steps := "FROM scratch\nCOPY testapp /testapp\n"
	for i := range 26 {
		steps += fmt.Sprintf("RUN [\"/testapp\", \"write\", \"/%d\", \"x\"]\n", i)
	}
	hello := strings.Replace(enginetest.HelloDockerfile, "EXPOSE", "COPY version.txt /version.txt\nEXPOSE", 1)
	for name, dockerfile := range map[string]string{"hello": hello, "cached30": steps + "EXPOSE 5000\nCMD [\"/testapp\"]\n"} {
		for _, builder := range []string{"floor", "classic", "buildkit", "buildx"} {
			b.Run(name+"/"+builder, func(b *testing.B) {
				e, err := docker.Open(enginetest.Docker(b))
				require.NoError(b, err)
				host := enginetest.Host()
				enginetest.Sweep(b, e, host)
				cfg := Config{Engine: e, Prefer: BuildKit}
				switch builder {
				case "classic":
					cfg.Prefer = Classic
				case "buildx":
					cfg.Buildx = buildx(b)
				}
				build := New(cfg).Build
				if builder == "floor" { // POST /build and nothing else
					build = e.Build
				}
				spec := engine.BuildSpec{Tag: host + ":a", Dockerfile: "Dockerfile", Labels: map[string]string{engine.LabelHost: host}}
				if builder == "floor" {
					spec.Labels = nil
				}
				last := ""
				run := func(i int) {
					version := fmt.Sprint(host, i)
					if name != "hello" {
						version = host
					}
					id, err := build(b.Context(), spec, enginetest.Source(b, map[string]string{"Dockerfile": dockerfile, "version.txt": version}), io.Discard)
					require.NoError(b, err)
					if builder == "floor" && last != "" && id != last { // without labels nobody would find it again
						b.StopTimer()
						require.NoError(b, e.RemoveImage(b.Context(), last))
						b.StartTimer()
					}
					last = id
				}
				b.Cleanup(func() { require.NoError(b, e.RemoveImage(context.WithoutCancel(b.Context()), spec.Tag)) })
				run(-1)
				i := 0
				for b.Loop() {
					run(i)
					i++
				}
			})
		}
	}
}
