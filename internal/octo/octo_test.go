package octo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestParseName(t *testing.T) {
	for _, good := range []string{"a", "hello", "my-site", "a1", "a--b", strings.Repeat("x", octo.MaxName)} {
		name, err := octo.ParseName(good)
		require.NoError(t, err)
		require.Equal(t, good, string(name))
	}
	for _, bad := range []string{
		"", "A", "Hello", "1a", "-a", "a-", "a_b", "a.b", "a/b", "..", "../a", "a;id", "a b", "a\n", "ä", "a\x00",
		strings.Repeat("x", octo.MaxName+1), strings.Repeat("x", 10_000),
	} {
		_, err := octo.ParseName(bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		require.Less(t, len(err.Error()), 400, "a message is bounded")
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"hello", "a-b", "../x", "A", "a'; id"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := octo.ParseName(s)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		require.Equal(t, s, string(name))
		require.Regexp(t, `^[a-z]([a-z0-9-]{0,37}[a-z0-9])?$`, s)
	})
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                          nil,
		"  \t":                      nil,
		"a b":                       {"a", "b"},
		"git-receive-pack '/hello'": {"git-receive-pack", "/hello"},
		`a 'b c' "d e" f\ g`:        {"a", "b c", "d e", "f g"},
		`''`:                        {""},
		`a'b'"c"`:                   {"abc"},
		`'it'\''s'`:                 {"it's"},
		"apps; id":                  {"apps;", "id"},
		"$(id) `id` *":              {"$(id)", "`id`", "*"},
	} {
		got, err := octo.Words(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
	for _, bad := range []string{"'", `"a`, `a\`, "'a' 'b"} {
		_, err := octo.Words(bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
	}
}

func FuzzWords(f *testing.F) {
	f.Add("a 'b c' \"d\" e\\ f", "'")
	f.Fuzz(func(t *testing.T, line, word string) {
		if words, err := octo.Words(line); err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
		} else {
			require.LessOrEqual(t, len(strings.Join(words, "")), 3*len(line)+1, "nothing is expanded but bad UTF-8")
		}
		if quoted := "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"; strings.ToValidUTF8(word, "") == word {
			words, err := octo.Words(quoted)
			require.NoError(t, err)
			require.Equal(t, []string{word}, words, "what git quotes comes back")
		}
	})
}

func TestPhase_After(t *testing.T) {
	all := []octo.Phase{octo.PhasePending, octo.PhaseStarting, octo.PhaseHealthy, octo.PhaseUnhealthy, octo.PhaseDraining, octo.PhaseGone, octo.PhaseFailed}
	for _, c := range []struct {
		from octo.Phase
		on   octo.Signal
		to   octo.Phase
	}{
		{octo.PhasePending, octo.SignalStart, octo.PhaseStarting},
		{octo.PhaseStarting, octo.SignalPass, octo.PhaseHealthy},
		{octo.PhaseStarting, octo.SignalMiss, octo.PhaseStarting},
		{octo.PhaseHealthy, octo.SignalMiss, octo.PhaseUnhealthy},
		{octo.PhaseUnhealthy, octo.SignalPass, octo.PhaseHealthy},
		{octo.PhaseHealthy, octo.SignalFail, octo.PhaseFailed},
		{octo.PhaseFailed, octo.SignalStart, octo.PhaseStarting},
		{octo.PhaseFailed, octo.SignalPass, octo.PhaseFailed},
		{octo.PhaseHealthy, octo.SignalDrain, octo.PhaseDraining},
		{octo.PhaseDraining, octo.SignalPass, octo.PhaseDraining},
		{octo.PhaseDraining, octo.SignalFail, octo.PhaseDraining},
		{octo.PhaseDraining, octo.SignalGone, octo.PhaseGone},
	} {
		require.Equal(t, c.to, c.from.After(c.on), "%v on %d", c.from, c.on)
	}
	for _, p := range all {
		for s := octo.SignalStart; s <= octo.SignalGone; s++ {
			if p == octo.PhaseGone {
				require.Equal(t, octo.PhaseGone, p.After(s), "what is gone stays gone")
			}
			if p != octo.PhaseStarting && p != octo.PhaseUnhealthy && p != octo.PhaseHealthy {
				require.NotEqual(t, octo.PhaseHealthy, p.After(s), "healthy comes only after a check")
			}
		}
		text, err := json.Marshal(p)
		require.NoError(t, err)
		var back octo.Phase
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, p, back)
	}
	require.Error(t, new(octo.Phase).UnmarshalText([]byte("tired")))
	require.Equal(t, "phase(99)", octo.Phase(99).String())
}

func TestSize(t *testing.T) {
	for text, want := range map[string]octo.Size{
		"0": 0, "512": 512, "1k": 1 << 10, "256m": 256 << 20, "256MB": 256 << 20, "256 MiB": 256 << 20,
		"1.5GiB": 3 << 29, "2T": 2 << 40,
	} {
		got, err := octo.ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, bad := range []string{"", "x", "-1", "1e99", "nan", "inf", "1x", "1 2", "mb"} {
		_, err := octo.ParseSize(bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
	}
	require.Equal(t, "1.5 GiB", octo.Size(3<<29).String())
	require.Equal(t, "7 B", octo.Size(7).String())
}

func FuzzParseSize(f *testing.F) {
	f.Add("1.5GiB")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := octo.ParseSize(text)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, n, octo.Size(0))
		out, err := n.MarshalText()
		require.NoError(t, err)
		back, err := octo.ParseSize(string(out))
		require.NoError(t, err)
		require.Equal(t, n, back)
	})
}

func TestDuration(t *testing.T) {
	var d octo.Duration
	require.NoError(t, json.Unmarshal([]byte(`"90s"`), &d))
	require.Equal(t, 90*time.Second, d.Std())
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.JSONEq(t, `"1m30s"`, string(text))
	for _, bad := range []string{`"soon"`, `"-1s"`, `"1"`} {
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &d), octo.ErrInvalid, bad)
	}
}

func TestErrors(t *testing.T) {
	err := octo.Errorf(octo.ErrNotFound, "no app named %s", "x").WithHint("list them with: octo apps")
	require.ErrorIs(t, err, octo.ErrNotFound)
	require.Equal(t, "no app named x; list them with: octo apps", err.Error())
	wrapped := fmt.Errorf("read app: %w", err)
	require.Equal(t, octo.ErrNotFound, octo.Kind(wrapped))
	require.NoError(t, octo.Kind(errors.New("another")))
}

func TestInstanceID(t *testing.T) {
	id := octo.NewInstanceID("my-site", "web", 12, 3)
	require.Equal(t, octo.InstanceID("my-site.web.v12.3"), id)
	require.Equal(t, 3, id.Ordinal())
	require.Zero(t, octo.InstanceID("nonsense").Ordinal())
	i := octo.Instance{ID: id, Process: "web"}
	require.Equal(t, "web.3", i.ShortName())
}

func TestCheckBranch(t *testing.T) {
	for _, good := range []string{"main", "release/v1.2", "a_b", "X"} {
		require.NoError(t, octo.CheckBranch(good), good)
	}
	for _, bad := range []string{"", "-x", "a..b", "/a", "a/", "a//b", ".a", "a.", "a b", "a;b", "a~1", "x.lock", "ä", strings.Repeat("x", 201)} {
		require.ErrorIs(t, octo.CheckBranch(bad), octo.ErrInvalid, bad)
	}
}

func TestApp_Deploys(t *testing.T) {
	a := octo.App{}
	require.True(t, a.Deploys("main"))
	require.True(t, a.Deploys("master"))
	require.False(t, a.Deploys("staging"))
	a.Branch = "staging"
	require.True(t, a.Deploys("staging"))
	require.False(t, a.Deploys("main"))
}
