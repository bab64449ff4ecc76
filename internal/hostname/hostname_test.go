package hostname_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
)

func TestParse_NormalForm(t *testing.T) {
	for given, want := range map[string]string{
		"example.com":                    "example.com",
		" WWW.Example.COM. ":             "www.example.com",
		"*.Example.com":                  "*.example.com",
		"bücher.example":                 "xn--bcher-kva.example",
		"BÜCHER.example":                 "xn--bcher-kva.example",
		"xn--BCHER-kva.example":          "xn--bcher-kva.example",
		"*.bücher.example":               "*.xn--bcher-kva.example",
		"straße.example":                 "xn--strae-oqa.example", // ß is kept, as browsers do
		"例え。テスト":                         "xn--r8jz45g.xn--zckzah",
		"my--site.example.com":           "my--site.example.com",
		"3com.example":                   "3com.example",
		"1.2.3.4.example":                "1.2.3.4.example",
		"a.b.c.d.e.example.co.uk":        "a.b.c.d.e.example.co.uk",
		"hello.dyndns.org":               "hello.dyndns.org",
		"dyndns.org":                     "dyndns.org", // strangers have names below it, but it has an owner, too
		"www.ck":                         "www.ck",
		strings.Repeat("a", 63) + ".com": strings.Repeat("a", 63) + ".com",
	} {
		host, err := hostname.Parse(given)
		require.NoError(t, err, given)
		require.Equal(t, want, host, given)
	}
}

func TestParse_Refuses(t *testing.T) {
	for given, why := range map[string]string{
		"":                                "it is empty",
		"*.":                              "it is empty",
		"localhost":                       "it has no dot",
		"com":                             "it has no dot",
		"co.uk":                           "strangers have names below co.uk",
		"*.co.uk":                         "strangers have names below co.uk",
		"*.com":                           "it has no dot",
		"*.dyndns.org":                    "strangers have names below dyndns.org",
		"foo.ck":                          "strangers have names below foo.ck",
		"1.2.3.4":                         "it is an address",
		"1.2.3.4:80":                      "it is an address",
		"[::1]":                           "it is an address",
		"::1":                             "it is an address",
		"[::1]:80":                        "it is an address",
		"１.２.３.４":                         "browsers take it for an address",
		"127.1":                           "browsers take it for an address",
		"example.0x7f":                    "browsers take it for an address",
		"example.com:80":                  "it contains ':'",
		"https://example.com":             "it contains ':'",
		"example.com/":                    "it contains '/'",
		"ann@example.com":                 "it contains '@'",
		"a.*.example.com":                 "only the whole first part can be a *",
		"w*.example.com":                  "only the whole first part can be a *",
		"**.example.com":                  "only the whole first part can be a *",
		"*.*.example.com":                 "only the whole first part can be a *",
		"a..example.com":                  "a part between two dots is empty",
		".example.com":                    "a part between two dots is empty",
		"example.com..":                   "a part between two dots is empty",
		"-a.example.com":                  "a part of it begins or ends with a hyphen",
		"a-.example.com":                  "a part of it begins or ends with a hyphen",
		"a_b.example.com":                 "it contains what no host name may contain",
		"a b.example.com":                 "it contains what no host name may contain",
		"a\x00.example.com":               "it contains what no host name may contain",
		"a\xff.example.com":               "it is not UTF-8",
		"xn--a.example.com":               "it contains what no host name may contain",
		strings.Repeat("a", 64) + ".com":  "a part of it has more than 63 characters",
		strings.Repeat("a.", 130) + "com": "it is too long",
		strings.Repeat("ü", 5000):         "it is too long",
	} {
		_, err := hostname.Parse(given)
		require.ErrorIs(t, err, octo.ErrInvalid, "%.80q", given)
		require.ErrorContains(t, err, why, "%.80q", given)
	}
}

func TestUnicode(t *testing.T) {
	for host, want := range map[string]string{
		"www.example.com": "www.example.com", "xn--bcher-kva.example": "bücher.example", "*.xn--bcher-kva.example": "*.bücher.example",
	} {
		require.Equal(t, want, hostname.Unicode(host))
	}
}

func TestMatches_ExactlyOneLabel(t *testing.T) {
	for _, c := range []struct {
		name, host string
		want       bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "www.example.com", false},
		{"*.example.com", "www.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", false},
		{"*.example.com", "www.notexample.com", false},
		{"*.example.com", "*.example.com", true},
	} {
		require.Equal(t, c.want, hostname.Matches(c.name, c.host), "%s %s", c.name, c.host)
	}
}

func TestGuards(t *testing.T) {
	require.Equal(t, []string{"*.a.example.com", "*.example.com", "*.com"}, hostname.Guards("a.example.com"))
	require.Equal(t, []string{"*.example.com", "*.com"}, hostname.Guards("*.example.com"))
}

func TestWithin_ComparesWholeLabels(t *testing.T) {
	require.True(t, hostname.Within("example.com", "example.com"))
	require.True(t, hostname.Within("a.b.example.com", "example.com"))
	require.True(t, hostname.Within("*.example.com", "example.com"))
	require.False(t, hostname.Within("notexample.com", "example.com"))
	require.False(t, hostname.Within("com", "example.com"))
}

func TestParseTarget(t *testing.T) {
	for given, want := range map[string]string{
		"example.com":                "example.com",
		"HTTPS://Example.com/":       "https://example.com",
		"http://bücher.example:8080": "http://xn--bcher-kva.example:8080",
		"example.com:0443":           "example.com:443",
	} {
		target, err := hostname.ParseTarget(given)
		require.NoError(t, err, given)
		require.Equal(t, want, target)
		require.NotContains(t, hostname.TargetHost(target), ":")
	}
	for _, given := range []string{
		"", "https://", "ftp://example.com", "javascript://example.com", "https://example.com/path", "example.com?q", "https://user@example.com",
		"*.example.com", "1.2.3.4", "https://[::1]:80", "example.com:", "example.com:x", "example.com:0", "example.com:65536", "https://https://example.com",
	} {
		_, err := hostname.ParseTarget(given)
		require.ErrorIs(t, err, octo.ErrInvalid, given)
	}
}

// What Parse returns is a name that the DNS takes, and its own normal form.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"Example.com.", "*.bücher.example", "xn--bcher-kva.example", "1.2.3.4", "a..b", "*.*", "例え。テスト", "a_b.c", "ẞ.example", "\u200d.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := hostname.Parse(s)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		require.LessOrEqual(t, len(host), 253)
		for label := range strings.SplitSeq(hostname.Base(host), ".") {
			require.Regexp(t, `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`, label)
			require.LessOrEqual(t, len(label), 63)
		}
		again, err := hostname.Parse(host)
		require.NoError(t, err)
		require.Equal(t, host, again)
		back, err := hostname.Parse(hostname.Unicode(host))
		require.NoError(t, err, "what is shown can be typed")
		require.Equal(t, host, back)
	})
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"example.com", "https://example.com:443/", "http://[::1]", "://", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := hostname.ParseTarget(s)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		again, err := hostname.ParseTarget(target)
		require.NoError(t, err)
		require.Equal(t, target, again)
		host, err := hostname.Parse(hostname.TargetHost(target))
		require.NoError(t, err)
		require.Equal(t, host, hostname.TargetHost(target))
	})
}
