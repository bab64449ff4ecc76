package proxy

import (
	"bytes"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// reason is why a request has no answer from an app.
type reason int

// The reasons; zero is none.
const (
	_ reason = iota
	badHost
	noTunnel
	badBody
	slowUpload
	largeUpload
	unknownHost
	starting
	noInstance
	stopped
	maintenance
	interrupted
	crashed
	tooLate
	clientGone
)

// statusClientGone is what is logged of a request whose client did not wait for the
// end; it is never sent. nginx coined it.
const statusClientGone = 499

// retryAfter is when a visitor is asked to come back, where nobody says more.
const retryAfter = 5 * time.Second

// page is what a visitor sees.
type page struct {
	Status  int       `json:"status"`
	Code    string    `json:"error"` // for programs
	Title   string    `json:"title"`
	Message string    `json:"message"`
	App     octo.Name `json:"app,omitempty"`
	ID      string    `json:"request_id"`

	retry time.Duration // after which the visitor is asked to come back
}

// page returns the page of a reason. Of an unknown host it says nothing, so that
// nobody learns which apps exist.
func (why reason) page() page {
	switch why {
	case badHost:
		return page{Status: 400, Code: "bad-host", Title: "Bad request", Message: "The request names a host that is not a valid name."}
	case noTunnel:
		return page{Status: 405, Code: "no-tunnel", Title: "Method not allowed", Message: "This is not a forward proxy."}
	case badBody:
		return page{Status: 400, Code: "bad-body", Title: "Bad request", Message: "The body of the request is malformed, or it broke off."}
	case slowUpload:
		return page{Status: 408, Code: "slow-request", Title: "Request timeout", Message: "The body of the request arrived too slowly."}
	case largeUpload:
		return page{Status: 413, Code: "too-large", Title: "Too large", Message: "The body of the request is larger than this site takes."}
	case unknownHost:
		return page{Status: 404, Code: "unknown-host", Title: "No such site", Message: "There is no site here under this name."}
	case starting:
		return page{Status: 503, Code: "starting", Title: "Starting", Message: "This server is starting. Try again in a moment."}
	case stopped:
		return page{Status: 503, Code: "stopped", Title: "Stopped", Message: "This app was stopped, and is not started at the moment."}
	case maintenance:
		return page{Status: 503, Code: "maintenance", Title: "Back soon", Message: "This site is closed for maintenance. Come back in a while."}
	case interrupted:
		return page{Status: 503, Code: "interrupted", Title: "Interrupted", Message: "The app was stopped before it could answer. Try again."}
	case crashed:
		return page{Status: 502, Code: "crashed", Title: "The app crashed", Message: "The app ended, or broke off the connection, instead of answering."}
	case clientGone: // nobody sees it but in logs
		return page{Status: statusClientGone, Code: "client-gone", Title: "The client went away"}
	case tooLate:
		return page{Status: 504, Code: "timeout", Title: "The app took too long", Message: "The app did not begin to answer in time."}
	}
	return page{Status: 503, Code: "no-instance", Title: "Not available", Message: "The app has no healthy instance at the moment. Try again shortly."}
}

//go:embed page.html
var pageHTML string

func parsePage() (*template.Template, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return t, nil
}

// answer sends the page of a reason, in the form that the client asks for.
func (p *Proxy) answer(x *exchange, why reason) {
	pg := why.page()
	pg.ID, pg.retry = x.id, retryAfter
	switch why {
	case maintenance:
		x.site.front.notice(&pg)
	case stopped:
		pg.retry = openAfter
	}
	if x.site != nil && why != unknownHost {
		pg.App = x.site.route.App
	}
	x.why = why
	if x.failure == nil {
		x.failure = fmt.Errorf("%s", pg.Code)
	}
	kind := acceptable(x.in.Header.Values("Accept"))
	h := x.Header()
	clear(h)
	body, own := p.ownPage(x, why, kind)
	if !own {
		body = p.render(pg, kind)
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	}
	h.Set("Content-Type", kind+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(headerID, x.id)
	if pg.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(pg.retry.Seconds()))))
	}
	x.WriteHeader(pg.Status)
	if x.in.Method != http.MethodHead {
		_, _ = x.Write(body) // x has taken note of the error
	}
}

func (p *Proxy) render(pg page, kind string) []byte {
	var b bytes.Buffer
	switch kind {
	case kindHTML:
		_ = p.page.Execute(&b, pg) // writing to memory; the template is tested
	case kindJSON:
		_ = json.NewEncoder(&b).Encode(pg) // writing to memory; a page has no value that JSON lacks
	default:
		fmt.Fprintf(&b, "%d %s\n%s\n", pg.Status, pg.Title, pg.Message)
		if pg.App != "" {
			fmt.Fprintf(&b, "app: %s\n", pg.App)
		}
		fmt.Fprintf(&b, "request id: %s\n", pg.ID)
	}
	return b.Bytes()
}

// The forms of a page.
const (
	kindHTML = "text/html"
	kindJSON = "application/json"
	kindText = "text/plain"
)

// acceptable returns the form of a page that suits an Accept header best
// (RFC 9110 §12.5.1): HTML or JSON if they are asked for by name, else plain text.
func acceptable(accept []string) string {
	best, weight := kindText, 0.0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		kind := strings.ToLower(strings.TrimSpace(name))
		if kind != kindHTML && kind != kindJSON && kind != kindText {
			continue
		}
		if q := quality(params); q > weight {
			best, weight = kind, q
		}
	}
	return best
}

// quality reads the weight among the parameters of a media range; what is malformed
// weighs nothing.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
