package proxy

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/octo"
)

// record is one line of the access log. The query of a request is not in it, since
// that is where passwords and tokens are.
type record struct {
	Time     time.Time
	ID       string
	Host     string // canonical; empty for a bad one
	App      octo.Name
	Release  int
	Instance octo.InstanceID
	Method   string
	Path     string
	Status   int
	In, Out  int64         // bytes of the bodies
	Total    time.Duration // from the first byte of the request to the last of the answer
	Upstream time.Duration // until the first byte of the app's answer; 0 if there was none
	Held     time.Duration // waited for an instance
	Remote   string
	Agent    string
	Retries  int
	Upgraded bool
	Why      reason // there is no answer of the app, or not the whole of it; zero when there is
	Error    string // what went wrong

	Connect time.Duration // until there was a connection to the instance; 0 if there was none
	Client  string        // for whom, as the app is told in X-Forwarded-For
}

// The longest texts of a client that are logged, in bytes.
const (
	maxLoggedPath  = 2048
	maxLoggedAgent = 512
)

// append adds the record as a line of JSON. What is empty or zero from upstream_ms
// on is left out.
func (r *record) append(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = r.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	b = append(b, '"')
	b = appendText(b, "id", r.ID)
	b = appendText(b, "host", r.Host)
	b = appendText(b, "app", string(r.App))
	b = appendInt(b, "release", int64(r.Release))
	b = appendText(b, "instance", string(r.Instance))
	b = appendText(b, "method", r.Method)
	b = appendText(b, "path", r.Path[:min(len(r.Path), maxLoggedPath)])
	b = appendInt(b, "status", int64(r.Status))
	b = appendInt(b, "bytes_in", r.In)
	b = appendInt(b, "bytes_out", r.Out)
	b = appendText(b, "remote", r.Remote)
	b = appendText(b, "agent", r.Agent[:min(len(r.Agent), maxLoggedAgent)])
	b = appendMillis(b, "ms", r.Total)
	if r.Upstream > 0 {
		b = appendMillis(b, "upstream_ms", r.Upstream)
	}
	if r.Held > 0 {
		b = appendMillis(b, "held_ms", r.Held)
	}
	if r.Retries > 0 {
		b = appendInt(b, "retries", int64(r.Retries))
	}
	if r.Upgraded {
		b = append(b, `,"upgraded":true`...)
	}
	if r.Error != "" {
		b = appendText(b, "error", r.Error)
	}
	return append(b, '}', '\n')
}

func appendKey(b []byte, key string) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	return append(b, '"', ':')
}

func appendInt(b []byte, key string, v int64) []byte {
	return strconv.AppendInt(appendKey(b, key), v, 10)
}

func appendMillis(b []byte, key string, d time.Duration) []byte {
	return strconv.AppendFloat(appendKey(b, key), float64(d.Microseconds())/1000, 'f', -1, 64)
}

func appendText(b []byte, key, v string) []byte { return appendQuoted(appendKey(b, key), v) }

// appendQuoted adds s as a JSON string (RFC 8259 §7). What is not UTF-8 becomes
// U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r < utf8.RuneSelf:
			b = append(b, byte(r))
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
