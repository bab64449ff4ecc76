package octo_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestCheckConfigName(t *testing.T) {
	for _, good := range []string{"A", "_", "a", "DATABASE_URL", "x1", "PORTS", "OCTOHOST", strings.Repeat("X", 128)} {
		require.NoError(t, octo.CheckConfigName(good), good)
	}
	for bad, words := range map[string]string{
		"": "cannot be", "1A": "cannot be", "A-B": "cannot be", "A.B": "cannot be", "A=B": "cannot be", "A B": "cannot be",
		"Ä": "cannot be", "A\n": "cannot be", "A\x00": "cannot be", strings.Repeat("X", 129): "cannot be",
		"PORT": "octohost.toml", "OCTOHOST_APP": "octohost's", "OCTOHOST_": "octohost's",
	} {
		err := octo.CheckConfigName(bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		require.ErrorContains(t, err, words)
		require.Less(t, len(err.Error()), 400)
	}
}

func TestConfig_Check(t *testing.T) {
	big := octo.ConfigValue(strings.Repeat("x", 128<<10))
	many := octo.Config{}
	for i := range octo.MaxConfigNames {
		many[fmt.Sprintf("A%d", i)] = nil
	}
	require.NoError(t, many.Check())
	require.NoError(t, octo.Config{"A": big, "B": big}.Check())
	require.NoError(t, octo.Config{"A": nil, "A_FILE": nil}.Check())
	require.ErrorContains(t, octo.Config{"A": big, "B": big, "C": big}.Check(), "350")
	require.ErrorContains(t, octo.Config{"A": big, "A_FILE": nil}.Check(), "octo config:unset A_FILE")
	require.ErrorContains(t, octo.Config{"PORT": nil}.Check(), "PORT")
	many["A"] = nil
	require.ErrorContains(t, many.Check(), "1001")
}

func TestConfigValue_NeedsFile(t *testing.T) {
	largest := strings.Repeat("x", 128<<10-len("KEY=")-1)
	for value, needs := range map[string]bool{
		"": false, "a\nb": false, "ü": false, "a\x00": true, "\xff": true, largest: false, largest + "x": true,
	} {
		require.Equal(t, needs, octo.ConfigValue(value).NeedsFile("KEY"), "%.20q", value)
	}
}

func TestConfigValue_PrintsNothing(t *testing.T) {
	var log bytes.Buffer
	c := octo.Config{"KEY": octo.ConfigValue("canary")}
	slog.New(slog.NewTextHandler(&log, nil)).Info("set", "value", c["KEY"])
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c["KEY"]), log.String()} {
		require.NotContains(t, text, "canary")
		require.NotContains(t, text, "99 97 110") // as bytes
		require.Contains(t, text, "hidden")
	}
}

func TestConfigValue_JSON(t *testing.T) {
	var v octo.ConfigValue
	for _, bad := range []string{"1", "true", "null", "[]", "{}", `{"base64": 1}`, `{"base64": "?"}`, `{"base64": "eA==", "x": 1}`} {
		err := json.Unmarshal([]byte(bad), &v)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
	}
	require.NoError(t, json.Unmarshal([]byte(`{"base64": "/w=="}`), &v))
	require.Equal(t, "\xff", string(v))
}

func FuzzConfigValue_JSON(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "ü\x00\u2028<>", "\xff\xfe"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		text, err := json.Marshal(octo.Config{"A": value})
		require.NoError(t, err)
		var got octo.Config
		require.NoError(t, json.Unmarshal(text, &got))
		require.True(t, bytes.Equal(value, got["A"]))
	})
}

func TestConfigChanges(t *testing.T) {
	value := func(s string) octo.ConfigValue { return octo.ConfigValue(s) }
	a := octo.Config{"SAME": value("1"), "OTHER": value("1"), "GONE": value("1"), "EMPTY": nil}
	b := octo.Config{"SAME": value("1"), "OTHER": value("2"), "NEW": nil, "EMPTY": value("")}
	c := octo.ConfigChanges(a, b)
	require.Equal(t, octo.ConfigChange{Set: []string{"NEW", "OTHER"}, Unset: []string{"GONE"}}, c)
	require.Equal(t, "Set NEW, OTHER; unset GONE", c.String())
	require.Equal(t, "Unset A", octo.ConfigChange{Unset: []string{"A"}}.String())
	require.Equal(t, "Set A, B, C, D and 2 more", octo.ConfigChange{Set: []string{"A", "B", "C", "D", "E", "F"}}.String())
	require.Empty(t, octo.ConfigChange{}.String())
}

func TestParseConfigRef(t *testing.T) {
	for _, text := range []string{"", "v1", "v12", "c0", "c7"} {
		ref, err := octo.ParseConfigRef(text)
		require.NoError(t, err, text)
		require.Equal(t, text, ref.String())
	}
	for _, text := range []string{"v", "c", "v0", "12", "x1", "v-1", "v+1", "c1x", "v99999999999", "V1", " v1", strings.Repeat("v", 1000)} {
		_, err := octo.ParseConfigRef(text)
		require.ErrorIs(t, err, octo.ErrInvalid, text)
	}
}

func TestDiffConfig(t *testing.T) {
	a := octo.Config{"A": octo.ConfigValue("1"), "B": octo.ConfigValue("2")}
	b := octo.Config{"B": octo.ConfigValue("3"), "C": {}}
	diff := octo.DiffConfig(a, b, true)
	require.Len(t, diff, 3)
	require.Equal(t, octo.ConfigRemoved, diff[0].Change)
	require.Nil(t, diff[0].New)
	require.Equal(t, "2", string(*diff[1].Old))
	require.Equal(t, "3", string(*diff[1].New))
	require.Empty(t, *diff[2].New, "empty, but not absent")
	for _, d := range octo.DiffConfig(a, b, false) {
		require.Nil(t, d.Old)
		require.Nil(t, d.New)
	}
	require.Empty(t, octo.DiffConfig(a, a, true))
}
