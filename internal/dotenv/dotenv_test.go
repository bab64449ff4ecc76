package dotenv_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/dotenv"
	"github.com/octohost/octohost/internal/octo"
)

func value(s string) octo.ConfigValue { return octo.ConfigValue(s) }

func TestFormat_ReadsWell(t *testing.T) {
	text := dotenv.Format(octo.Config{
		"URL": value("postgres://u:p@h/db?x=1"), "PLAIN": value("a-b_c.d/e:f@g%h,i+j=k"), "EMPTY": nil, "SPACE": value(" a b "),
		"QUOTED": value(`a"b\c  d:1:2:3:4:5:6:7:8:9:10`), "DOLLAR": value("$HOME `id`"), "APOSTROPHE": value("it's $5"),
		"PEM": value("-----BEGIN-----\nabc\n-----END-----\n"), "CRLF": value("a\r\nb"), "TAB": value("a\tb"), "BELL": value("\a"),
		"UTF8": value("Grüße 👋"), "BINARY": value("\xff\x00\na"), "HASH": value("a#b"),
	})
	require.Equal(t, strings.ReplaceAll(`APOSTROPHE="it's \$5"
BELL="\x07"
BINARY="\xff\x00\na"
CRLF="a\r
b"
DOLLAR='$HOME ~id~'
EMPTY=
HASH='a#b'
PEM="-----BEGIN-----
abc
-----END-----
"
PLAIN=a-b_c.d/e:f@g%h,i+j=k
QUOTED='a"b\c  d:1:2:3:4:5:6:7:8:9:10'
SPACE=' a b '
TAB="a\tb"
URL='postgres://u:p@h/db?x=1'
UTF8='Grüße 👋'
`, "~", "`"), string(text))
}

func TestParse(t *testing.T) {
	for text, want := range map[string]octo.Config{
		"":                           {},
		"\n \t\r\n# A=1\n  # B=2":    {},
		"A=1":                        {"A": value("1")},
		"A=1\r\nB=2\r\n":             {"A": value("1"), "B": value("2")},
		"\ufeffA=1":                  {"A": value("1")},
		"export A=1\nexport  B = 2 ": {"A": value("1"), "B": value("2")},
		"exported=1":                 {"exported": value("1")},
		"export=1":                   {"export": value("1")},
		"A=":                         {"A": value("")},
		"A= \nB=''\nC=\"\"":          {"A": value(""), "B": value(""), "C": value("")},
		"A=a b\t # c":                {"A": value("a b")},
		"A=#b\nB= # c":               {"A": value("#b"), "B": value("")},
		"A=a#b":                      {"A": value("a#b")},
		"A=a'b\"c\\n$HOME":           {"A": value(`a'b"c\n$HOME`)},
		"A=b=c":                      {"A": value("b=c")},
		`A='a\n"b' # c`:              {"A": value(`a\n"b`)},
		"A='a\nB=2\n'\nB=3":          {"A": value("a\nB=2\n"), "B": value("3")},
		`A="a\n\r\t\"\\\$\x00\xFf'"`: {"A": value("a\n\r\t\"\\$\x00\xff'")},
		"A=\"a\n#b\"#c":              {"A": value("a\n#b")},
		"A='\xff\x00'":               {"A": value("\xff\x00")},
		"A=\xff":                     {"A": value("\xff")},
	} {
		got, err := dotenv.Parse([]byte(text))
		require.NoError(t, err, "%q", text)
		require.True(t, same(want, got), "%q: %q", text, dotenv.Format(got))
	}
}

func TestParse_SaysWhatIsWrongButNoValue(t *testing.T) {
	for text, words := range map[string]string{
		"\n\nhemlig":             "line 3: there is no = in it",
		"A='\n\nhemlig\nB=1":     "line 1: the value that begins there has no closing '",
		"A=\"hemlig":             `line 1: the value that begins there has no closing "`,
		"A=1\nB='x' hemlig":      "line 2: something follows the closing quote",
		`A="hemlig\d"`:           `a \ must be followed by`,
		`A="hemlig\x4`:           `a \ must be followed by`,
		`A="\`:                   `no closing "`,
		"A=`hemlig`":             "cannot begin with `",
		"A=1\nB=2\nA=hemlig":     "line 3: A is set a second time, after line 1",
		"A=hemlig\x00":           "zero byte",
		"PORT=hemlig":            "line 1: PORT is set by octohost",
		"1A=hemlig":              `line 1: "1A" cannot be the name of a variable`,
		"A='x\ny'\nB-C=hemlig":   `line 3: "B-C" cannot be`,
		"export OCTOHOST_A=heml": `"OCTOHOST_A" is octohost's`,
	} {
		_, err := dotenv.Parse([]byte(text))
		require.ErrorIs(t, err, octo.ErrInvalid, "%q", text)
		require.ErrorContains(t, err, words)
		require.NotContains(t, err.Error(), "heml")
		require.Less(t, len(err.Error()), 500)
	}
}

// A shell reads what is not escaped as we do.
func TestFormat_AgreesWithTheShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	for _, text := range []string{"plain", "a b", `a"b\c  d:1:2:3`, "$HOME `id`", "it's $5", "a\nb\n", "Grüße;&|<>()*?[]!~", "# no comment"} {
		file := filepath.Join(t.TempDir(), "env")
		require.NoError(t, os.WriteFile(file, dotenv.Format(octo.Config{"A": value(text)}), 0o600))
		out, err := exec.CommandContext(t.Context(), shell, "-c", `. "$0"; printf %s. "$A"`, file).Output()
		require.NoError(t, err)
		require.Equal(t, text+".", string(out))
	}
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"", "a", "a b", `a"b\c  d:1`, "it's", "a\nb\r\n", "\xff\x00$`\\x", "ü\u2028", "'", "#", " "} {
		f.Add([]byte(s), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := octo.Config{"A": a, "B_2": b, "C": nil}
		got, err := dotenv.Parse(dotenv.Format(c))
		require.NoError(t, err)
		require.True(t, same(c, got), "%q", dotenv.Format(c))
		text, err := dotenv.FormatJSON(c)
		require.NoError(t, err)
		got, err = dotenv.ParseJSON(text)
		require.NoError(t, err)
		require.True(t, same(c, got), "%s", text)
	})
}

// Whatever is read can be written and read again, and what cannot is said.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"A=1", "export A='x\ny' #c", `A="\x41\n"`, "A=1\nA=2", "A", "=", "A=\"", "\ufeff#\r\nA =b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) { readAgain(t, text, dotenv.Parse) })
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"A":"b"}`, `{"A":{"base64":"/w=="}}`, `{"A":1}`, `{"A":null}`, `{"A":"\ud800"}`, `[]`, `{"A":"a"}{}`, `{"A":"x","A":"y"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) { readAgain(t, text, dotenv.ParseJSON) })
}

func readAgain(t *testing.T, text []byte, parse func([]byte) (octo.Config, error)) {
	c, err := parse(text)
	if err != nil {
		require.ErrorIs(t, err, octo.ErrInvalid)
		require.Less(t, len(err.Error()), 600)
		return
	}
	for name := range c {
		require.NoError(t, octo.CheckConfigName(name))
	}
	got, err := dotenv.Parse(dotenv.Format(c))
	require.NoError(t, err)
	require.True(t, same(c, got))
}

func TestParseJSON(t *testing.T) {
	for text, words := range map[string]string{
		``: "not one JSON object", `[]`: "not one JSON object", `{`: "not one JSON object", `{"A":"x"} x`: "not one JSON object",
		`{"A":"x"}{}`: "not one JSON object", `{"A":}`: "not JSON", `{"A":1}`: "A: a value is neither", `{"A":null}`: "neither",
		`{"A":"x","A":"y"}`: "A is set twice", `{"A B":"x"}`: "cannot be", "{\"A\":\"\xff\"}": "not UTF-8", `{"A":"x"`: "not one JSON object",
	} {
		_, err := dotenv.ParseJSON([]byte(text))
		require.ErrorIs(t, err, octo.ErrInvalid, text)
		require.ErrorContains(t, err, words, text)
	}
	require.True(t, dotenv.IsJSON([]byte("\ufeff \n{")))
	require.False(t, dotenv.IsJSON([]byte("A={}")))
}

func same(a, b octo.Config) bool {
	return maps.EqualFunc(a, b, func(x, y octo.ConfigValue) bool { return bytes.Equal(x, y) })
}
