package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59 * time.Minute: "59m", 47 * time.Hour: "47h",
		48 * time.Hour: "2d", 1000 * 24 * time.Hour: "1000d",
	} {
		require.Equal(t, want, age(began.Add(d), began))
	}
	require.Empty(t, age(began, time.Time{}))
	require.Empty(t, moment(began, time.Time{}))
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "", -1: "", 1: "1 KiB", 1024: "1 KiB", 1 << 20: "1.0 MiB", 25 << 19: "12.5 MiB", 3 << 29: "1.5 GiB",
	} {
		require.Equal(t, want, size(n))
	}
}

func TestCopyName(t *testing.T) {
	require.Equal(t, "web.12", copyName("web", octo.NewInstanceID("hello", "web", 3, 12)))
	require.Equal(t, "odd", copyName("web", "odd"))
	require.Equal(t, "a.b", copyName("", "a.b"))
}

func TestClean(t *testing.T) {
	colors := colored()
	for text, want := range map[string]string{
		"plain\tText ü": "plain\tText ü",
		"\x1b[31mred":   "�[31mred",
		"a\rb\x07":      "a�b�",
		"bad \xff utf8": "bad � utf8",
		"\u202egnp.exe": "�gnp.exe",
		"c1 \u009b31m":  "c1 �31m",
	} {
		require.Equal(t, want, clean(text), "%q", text)
	}
	for text, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m": "\x1b[1;31mred\x1b[0m\x1b[0m",
		"\x1b[2Jgone":          "�[2Jgone",
		"\x1b]52;c;x\a":        "�]52;c;x�",
		"plain":                "plain",
	} {
		require.Equal(t, want, cleanColored(text, colors), "%q", text)
	}
}

func TestTable_AlignsAndPaintsWithoutCountingColours(t *testing.T) {
	tab := table{head: []string{"A", "B", "C"}}
	tab.addCells(cell{"näme", green}, cell{text: ""}, cell{text: "two\nlines\x1b"})
	tab.add("x", "longer", "end")
	var out bytes.Buffer
	require.NoError(t, tab.write(&out, style{}))
	require.Equal(t, "A     B       C\nnäme  -       two lines�\nx     longer  end\n", out.String())
	out.Reset()
	require.NoError(t, tab.write(&out, style{on: true}))
	require.Contains(t, out.String(), "\x1b[32mnäme\x1b[0m  -       two")
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "3d": 72 * time.Hour, "0s": 0,
		"2026-11-22T11:00:00Z": time.Hour, "2026-11-22T12:00:00+01:00": time.Hour,
	} {
		got, ok := parseSince(text, now)
		require.True(t, ok, text)
		require.Equal(t, now.Add(-want), got.UTC(), text)
	}
	for _, text := range []string{"", "-5m", "yesterday", "5", "d", "-1d", "99999999999999999999d", "10001d", "2026-11-22T12:00:01Z", "0001-01-01T00:00:00Z", "9999999h"} {
		_, ok := parseSince(text, now)
		require.False(t, ok, text)
	}
}

// What is read as a time is never in the future, and never the zero time, which
// would mean all.
func FuzzParseSince(f *testing.F) {
	for _, seed := range []string{"10m", "3d", "2026-11-22T11:00:00Z", "-1h", "9999999h", "1e9s"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if at, ok := parseSince(text, now); ok && (at.After(now) || at.Year() < 1970) {
			t.Fatalf("%q is %v", text, at)
		}
	})
}

func TestReleaseNumber(t *testing.T) {
	for text, want := range map[string]int{"v1": 1, "12": 12, "v0": 0, "": 0, "v": 0, "vv1": 0, "v01": 0, "-1": 0, "1.0": 0, "99999999999999": 0, "١": 0} {
		got, ok := releaseNumber(text)
		require.Equal(t, want != 0, ok, text)
		if ok {
			require.Equal(t, want, got)
		}
	}
}

func FuzzParseExpiry(f *testing.F) {
	for _, s := range []string{"90d", "12h", "2027-01-31", "2027-01-31T10:00:00Z", "0d", "-1h", "9999-12-31", "1e9h"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 22, 17, 20, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if at, ok := parseExpiry(text, now); ok {
			require.True(t, at.After(now), "%q is %s", text, at)
		}
	})
}
