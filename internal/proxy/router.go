package proxy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// line is what the app's log says about a request, in Heroku's logfmt
// (https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format), with
// the codes of the error pages. It is put together in b, which is returned.
func (r *record) line(b []byte) (octo.LogLine, []byte) {
	b = b[:0]
	pg := r.Why.page()
	switch r.Why {
	case 0:
		b = append(b, "at=info"...)
	case clientGone:
		b = appendReason(append(b, "at=warning"...), pg, r.Error)
	default:
		b = appendReason(append(b, "at=error"...), pg, r.Error)
	}
	b = append(append(b, " method="...), r.Method...)
	b = appendQuoted(append(b, " path="...), r.Path[:min(len(r.Path), maxLoggedPath)])
	b = append(append(b, " host="...), r.Host...)
	b = append(append(b, " request_id="...), r.ID...)
	b = appendQuoted(append(b, " fwd="...), r.client())
	b = appendDyno(append(b, " dyno="...), r.Instance)
	if r.Connect > 0 {
		b = appendWholeMillis(append(b, " connect="...), r.Connect)
	}
	b = appendWholeMillis(append(b, " service="...), r.Total-r.Connect)
	b = strconv.AppendInt(append(b, " status="...), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, " bytes="...), r.Out, 10)
	line := octo.LogLine{Time: r.Time.Add(r.Total), App: r.App, Source: octo.LogRouter, Release: r.Release, Instance: r.Instance, Text: string(b)}
	if r.Instance != "" {
		line.Process = octo.Web
	}
	return line, b
}

// appendReason says why there is no answer of the app.
func appendReason(b []byte, pg page, words string) []byte {
	b = append(append(b, " code="...), pg.Code...)
	if words == pg.Code {
		words = pg.Title
	}
	return appendQuoted(append(b, " desc="...), words)
}

func appendWholeMillis(b []byte, d time.Duration) []byte {
	return append(strconv.AppendInt(b, d.Milliseconds(), 10), "ms"...)
}

// client returns for whom the request is, as the app is told, or would have been.
func (r *record) client() string {
	if r.Client != "" {
		return r.Client
	}
	if at, err := netip.ParseAddrPort(r.Remote); err == nil {
		return at.Addr().Unmap().String()
	}
	return "unknown"
}

// appendDyno adds what Heroku calls an instance: "web.1" for "hello.web.v3.1".
func appendDyno(b []byte, id octo.InstanceID) []byte {
	_, rest, _ := strings.Cut(string(id), ".")
	process, rest, _ := strings.Cut(rest, ".")
	_, number, ok := strings.Cut(rest, ".")
	if !ok {
		return b
	}
	return append(append(append(b, process...), '.'), number...)
}

// dropped is what the app's log says about requests that it lacks.
func dropped(app octo.Name, n int) octo.LogLine {
	return octo.LogLine{
		Time: time.Now(), App: app, Source: octo.LogOctohost,
		Text: fmt.Sprintf("octohost dropped %d lines of router: too many requests to write them all down", n),
	}
}
