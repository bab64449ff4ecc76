package image

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	for name, c := range map[string]struct {
		text           string
		runs, buildKit bool
	}{
		"copy only":         {"FROM scratch\nCOPY a /a\nCMD [\"/a\"]", false, false},
		"run":               {"FROM debian\nRUN make", true, false},
		"lower case":        {"from debian\nrun make", true, false},
		"tab":               {"FROM debian\n\tRUN make", true, false},
		"comment":           {"FROM debian\n# RUN make --mount\n", false, false},
		"in an argument":    {"FROM debian\nCMD RUN --mount=x", false, false},
		"onbuild":           {"FROM debian\nONBUILD RUN make", true, false},
		"syntax":            {"# syntax=docker/dockerfile:1\nFROM scratch", false, true},
		"syntax, spaced":    {"#  Syntax = docker/dockerfile:1\nFROM scratch", false, true},
		"syntax, too late":  {"FROM scratch\n# syntax=docker/dockerfile:1", false, false},
		"syntax, after":     {"# hello\n# syntax=docker/dockerfile:1\nFROM scratch", false, false},
		"mount":             {"FROM debian\nRUN --mount=type=cache,target=/c make", true, true},
		"mount, second":     {"FROM debian\nRUN --network=none --mount=type=cache make", true, true},
		"mount, continued":  {"FROM debian\nRUN \\\n # why\n --mount=type=cache make", true, true},
		"mount, not a flag": {"FROM debian\nRUN mount --mount x", true, false},
		"chown":             {"FROM debian\nCOPY --chown=1 a b", false, false},
		"from":              {"FROM a AS a\nFROM b\nCOPY --from=a a b", false, false},
		"chmod":             {"FROM debian\nCOPY --chown=1 --chmod=755 a b", false, true},
		"link":              {"FROM debian\nADD --link a b", false, true},
		"heredoc":           {"FROM debian\nRUN <<EOF\nmake\nEOF", true, true},
		"heredoc, quoted":   {"FROM debian\nCOPY <<-\"EOF\" /a\nmake\nEOF", false, true},
		"shift":             {"FROM debian\nRUN echo $((1 << 2))", true, false},
		"platform":          {"FROM --platform=$BUILDPLATFORM golang\n", false, true},
		"target":            {"FROM golang\nARG TARGETARCH\nRUN x", true, true},
		"escape":            {"# escape=`\nFROM debian\nRUN `\n --mount=x y", true, true},
		"crlf":              {"FROM debian\r\nRUN \\\r\n--mount=x y\r\n", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, features{runs: c.runs, buildKit: c.buildKit}, scan(c.text))
		})
	}
}

func TestWantsBuildKit(t *testing.T) {
	run, need, copies := features{runs: true}, features{runs: true, buildKit: true}, features{}
	for name, c := range map[string]struct {
		prefer Preference
		f      features
		limits bool
		want   bool
	}{
		"no RUN, nothing to limit":        {Auto, copies, true, true},
		"RUN, and limits to keep":         {Auto, run, true, false},
		"RUN, and no limits":              {Auto, run, false, true},
		"it needs BuildKit":               {Auto, need, true, true},
		"the operator wants it":           {BuildKit, run, true, true},
		"the operator does not":           {Classic, copies, false, false},
		"not even where it would be need": {Classic, need, false, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, wantsBuildKit(c.prefer, c.f, c.limits)) })
	}
}

func FuzzScan(f *testing.F) {
	f.Add("# escape=`\nFROM a\nRUN --mount=x <<EOF\n")
	f.Add("ONBUILD RUN \\\n")
	f.Fuzz(func(_ *testing.T, text string) { scan(text) })
}
