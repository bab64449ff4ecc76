package proxy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	label, long := strings.Repeat("a", 63), strings.Repeat("a.", 126)
	for _, row := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.Com", "example.com"},
		{"example.com:80", "example.com"},
		{"example.com:", "example.com"},
		{"example.com.", "example.com"},
		{"example.com.:443", "example.com"},
		{"my_app.test", "my_app.test"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"127.0.0.1:8080", "127.0.0.1"},
		{"[::1]", "[::1]"},
		{"[::1]:80", "[::1]"},
		{"[2001:DB8:0:0::1]:80", "[2001:db8::1]"},
		{label + ".b", label + ".b"},
		{long + "a", long + "a"},
		{"", ""},
		{".", ""},
		{"..", ""},
		{"a..b", ""},
		{".a", ""},
		{"a.com..", ""},
		{":80", ""},
		{"a:b", ""},
		{"a:80:80", ""},
		{"a:65536", ""},
		{"a:-1", ""},
		{"a:99999999999999999999", ""},
		{"::1", ""},
		{"[::1", ""},
		{"[::1]x", ""},
		{"[::1]:x", ""},
		{"[1.2.3.4]", ""},
		{"[]", ""},
		{"[", ""},
		{"[fe80::1%eth0]", ""},
		{"a b", ""},
		{"a/b", ""},
		{"a@b", ""},
		{"bücher.example", ""},
		{"a%2eb", ""},
		{"*.test", ""},
		{"a\x00b", ""},
		{label + "a.b", ""},
		{long + "aa", ""},
	} {
		got, ok := appendHost(nil, row.in)
		require.Equal(t, row.want != "", ok, "%q", row.in)
		if ok {
			require.Equal(t, row.want, string(got), "%q", row.in)
		}
	}
}

func TestRouteHost_TakesBareIPv6(t *testing.T) {
	for in, want := range map[string]string{"::1": "[::1]", "[::1]": "[::1]", "A.test": "a.test"} {
		got, ok := routeHost(in)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	_, ok := routeHost("no host")
	require.False(t, ok)
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"example.com", "A.b.:80", "[::1]:8080", "[::ffff:1.2.3.4]", "a..b", ":", "[", "]", "127.0.0.1", "a:65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		host, ok := appendHost(nil, field)
		if !ok {
			return
		}
		h := string(host)
		require.NotEmpty(t, h)
		require.LessOrEqual(t, len(h), maxHost)
		require.Equal(t, strings.ToLower(h), h)
		require.False(t, strings.HasSuffix(h, "."))
		variants := []string{h, h + ":80", h + ":", strings.ToUpper(h)}
		if !strings.HasPrefix(h, "[") {
			require.NotContains(t, h, ":")
			variants = append(variants, h+".", h+".:1")
		}
		for _, v := range variants {
			again, ok := appendHost(nil, v)
			require.True(t, ok, v)
			require.Equal(t, h, string(again))
		}
		given, ok := routeHost(field)
		require.True(t, ok)
		require.Equal(t, h, given, "a route and a request understand the same")
	})
}
