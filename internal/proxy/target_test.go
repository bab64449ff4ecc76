package proxy

import (
	"bufio"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzTarget sends request targets through rewrite: what goes on means the same as
// what came, and is one request.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "*", "//a", "/a|b%2Fc?d=%zz;e", "/#x", "http://a/b?c", "http://u:p@a//b", "/?", "/\x80", "/a?b#c", "a:b", "/%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		in, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: app.test\r\n\r\n")))
		if err != nil {
			return
		}
		x := &exchange{in: in, id: "id"}
		pr := &httputil.ProxyRequest{In: in, Out: in.Clone(t.Context())}
		x.rewrite(pr)
		out := pr.Out.URL.RequestURI()
		if strings.HasPrefix(in.RequestURI, "/") && !strings.HasPrefix(in.RequestURI, "//") && !strings.Contains(in.RequestURI, "#") {
			require.Equal(t, in.RequestURI, out)
		}
		again, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + out + " HTTP/1.1\r\nHost: app.test\r\n\r\n")))
		require.NoError(t, err, out)
		require.Equal(t, in.URL.RawQuery, again.URL.RawQuery)
		if in.URL.Path != "" && in.URL.Opaque == "" {
			require.Equal(t, in.URL.Path, again.URL.Path)
		}
		require.Equal(t, "app.test", again.Host)
	})
}
