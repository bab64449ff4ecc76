package api

import (
	"context"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

func (s *Server) logs(c *call) error {
	q, err := parseLogQuery(c.URL.Query())
	if err != nil {
		return err
	}
	return stream(c, s.cfg.Activity.Logs(c.Context(), c.app, q))
}

// Logs yields lines of an app's log until the query is answered, ctx ends, or the
// caller leaves the loop.
func (c *Client) Logs(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	return watch[octo.LogLine](ctx, c, appPath(app, "/logs?"+logValues(q).Encode()))
}

// logValues are the parameters of a query.
func logValues(q octo.LogQuery) url.Values {
	v := selection{tail: q.Tail, since: q.Since, follow: q.Follow}.values()
	for name, value := range map[string]string{
		"source": string(q.Source), "process": q.Process, "request": q.Request, "text": q.Text,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !q.Until.IsZero() {
		v.Set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	if q.Release != 0 {
		v.Set("release", strconv.Itoa(q.Release))
	}
	return v
}

// parseLogQuery reads what logValues has made.
func parseLogQuery(v url.Values) (octo.LogQuery, error) {
	q := octo.LogQuery{
		Source: octo.LogSource(v.Get("source")), Process: v.Get("process"), Request: v.Get("request"), Text: v.Get("text"),
	}
	var err error
	if t := v.Get("until"); t != "" {
		if q.Until, err = time.Parse(time.RFC3339Nano, t); err != nil {
			return q, octo.Errorf(octo.ErrInvalid, "until=%.40q is not a time", t)
		}
	}
	if r := v.Get("release"); r != "" {
		if q.Release, err = parseRelease(r); err != nil {
			return q, err
		}
	}
	rest := maps.Clone(v)
	for _, name := range []string{"source", "process", "request", "text", "until", "release"} {
		delete(rest, name)
	}
	sel, err := parseSelection(rest)
	if err != nil {
		return q, err
	}
	q.Tail, q.Since, q.Follow = sel.tail, sel.since, sel.follow
	return q, q.Check()
}
