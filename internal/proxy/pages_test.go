package proxy

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestAcceptable(t *testing.T) {
	for accept, want := range map[string]string{
		"":    kindText,
		"*/*": kindText,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": kindHTML,
		"application/json":                           kindJSON,
		"Application/JSON; charset=utf-8":            kindJSON,
		"application/json;q=0.5, text/html;q=0.4":    kindJSON,
		"text/plain, application/json":               kindText,
		"text/html;q=0":                              kindText,
		"text/html;q=x":                              kindText,
		"text/html;q=NaN":                            kindText,
		"application/json;q=2, text/html;q=0.1":      kindHTML,
		"image/avif,image/webp,*/*":                  kindText,
		",,;;=,text/html;level=1;Q=0.3,text/plainly": kindHTML,
	} {
		require.Equal(t, want, acceptable([]string{accept}), accept)
	}
	require.Equal(t, kindJSON, acceptable([]string{"text/html;q=0.1", "application/json"}))
}

func FuzzAcceptable(f *testing.F) {
	f.Add("text/html, application/json;q=0.5")
	f.Fuzz(func(t *testing.T, accept string) {
		require.Contains(t, []string{kindHTML, kindJSON, kindText}, acceptable([]string{accept}))
	})
}

func TestPages_SayWhyInTheFormAskedFor(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = time.Millisecond })
	r.route("app")
	for accept, kind := range map[string]string{"text/html": kindHTML, "application/json": kindJSON, "*/*": kindText} {
		q := r.request("GET", "app.test", "/", nil)
		q.Header.Set("Accept", accept)
		res, body := r.read(r.do(q))
		require.Equal(t, 503, res.StatusCode)
		require.Equal(t, kind+"; charset=utf-8", res.Header.Get("Content-Type"))
		require.Equal(t, "5", res.Header.Get("Retry-After"))
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.EqualValues(t, len(body), res.ContentLength)
		require.Contains(t, body, res.Header.Get(headerID))
		require.Contains(t, body, "app")
		require.NotContains(t, body, "://", "pages need nothing from elsewhere")
		if kind == kindJSON {
			var pg page
			require.NoError(t, json.Unmarshal([]byte(body), &pg))
			require.Equal(t, page{Status: 503, Code: "no-instance", Title: "Not available", Message: pg.Message, App: "app", ID: res.Header.Get(headerID)}, pg)
		}
	}
}

func TestPages_AnUnknownHostLearnsNothing(t *testing.T) {
	r := start(t)
	r.site("secret", hello("x"))
	for _, host := range []string{"none.test", "127.0.0.1", r.Addr().String(), "[::1]:80"} {
		res, body := r.get(host, "/")
		require.Equal(t, 404, res.StatusCode, host)
		require.NotContains(t, body, "secret")
		require.NotContains(t, body, "app:")
		require.Contains(t, body, res.Header.Get(headerID))
	}
	require.Empty(t, r.log.await(t, 1).App)
}

func TestPages_TellCrashedFromNotThere(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Hold = time.Millisecond })
	route := octo.Route{App: "app", Hosts: []string{"app.test"}, Crashed: true}
	r.SetShard("app", []octo.Route{route})
	res, body := r.get("app.test", "/")
	require.Equal(t, 502, res.StatusCode)
	require.Contains(t, body, "app: app")

	r.place("app.web.v1.1", deadPort(t))
	r.route("app", "app.web.v1.1")
	res, _ = r.get("app.test", "/")
	require.Equal(t, 503, res.StatusCode)
	require.Equal(t, "app.web.v1.1", r.log.await(t, 2).Instance)
	require.NotEmpty(t, r.log.await(t, 2).Error)
}

func TestPages_AnAppThatBreaksOffBeforeItAnswersIs502(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	})
	for _, method := range []string{"GET", "POST"} {
		res, body := r.read(r.do(r.request(method, "app.test", "/", strings.NewReader("x"))))
		require.Equal(t, 502, res.StatusCode)
		require.Contains(t, body, "app: app")
	}
	rec := r.log.await(t, 1)
	require.Equal(t, 502, rec.Status)
	require.Equal(t, "app", rec.App)
	require.NotEmpty(t, rec.Error)
}

func TestPages_AnAppThatAnswersNonsenseIs502(t *testing.T) {
	r := start(t)
	r.site("app", func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = rw.WriteString("hello\r\n\r\n")
			_ = rw.Flush()
			_ = c.Close()
		}
	})
	res, _ := r.get("app.test", "/")
	require.Equal(t, 502, res.StatusCode)
}

func TestPages_AnAppThatTakesTooLongIs504(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.AnswerTimeout = 50 * time.Millisecond })
	gone := make(chan bool, 1)
	r.site("app", func(_ http.ResponseWriter, q *http.Request) {
		<-q.Context().Done()
		gone <- true
	})
	res, body := r.get("app.test", "/")
	require.Equal(t, 504, res.StatusCode)
	require.Contains(t, body, "request id: "+res.Header.Get(headerID))
	<-gone // the app was told
}

func TestPages_BadHost(t *testing.T) {
	r := start(t)
	r.route("app")
	for _, host := range []string{"a..b", "a_b:x", "bücher.test"} {
		c := r.dial()
		c.send("GET / HTTP/1.1\nHost: " + host + "\n\n")
		require.Equal(t, 400, c.response().StatusCode, host)
	}
	c := r.dial()
	c.send("GET / HTTP/1.0\n\n")
	require.Equal(t, 404, c.response().StatusCode)
}
