package proxy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestRecord(t *testing.T) {
	r := record{
		Time: time.Date(2026, 11, 22, 1, 2, 3, 4567000, time.FixedZone("", 3600)),
		ID:   "i", Host: "h", App: "a", Release: 2, Instance: "a.web.v2.1", Method: "GET", Path: "/x\"\n",
		Status: 200, In: 1, Out: 2, Total: 1234567 * time.Nanosecond, Remote: "1.2.3.4:5", Agent: "\xff\x7f<é>",
	}
	require.Equal(t, `{"time":"2026-11-22T00:02:03.004567Z","id":"i","host":"h","app":"a","release":2,"instance":"a.web.v2.1",`+
		`"method":"GET","path":"/x\"\u000a","status":200,"bytes_in":1,"bytes_out":2,"remote":"1.2.3.4:5","agent":"�\u007f<é>","ms":1.234}`+"\n",
		string(r.append(nil)))
	r = record{Upstream: time.Millisecond, Held: time.Second, Retries: 1, Upgraded: true, Error: "e"}
	require.Contains(t, string(r.append(nil)), `"upstream_ms":1,"held_ms":1000,"retries":1,"upgraded":true,"error":"e"}`)
}

func FuzzRecord(f *testing.F) {
	f.Add("/", "agent", int64(1))
	f.Add("\x00\"\\\x7f\u2028", "\xff\xfe", int64(-1))
	f.Fuzz(func(t *testing.T, path, agent string, n int64) {
		r := record{Path: path, Agent: agent, In: n, Total: time.Duration(n)}
		line := r.append(nil)
		require.True(t, utf8.Valid(line))
		require.Equal(t, len(line)-1, strings.IndexByte(string(line), '\n'))
		var got logged
		require.NoError(t, json.Unmarshal(line, &got))
		require.Equal(t, string([]rune(path[:min(len(path), maxLoggedPath)])), got.Path)
		require.Equal(t, string([]rune(agent[:min(len(agent), maxLoggedAgent)])), got.Agent)
		require.Equal(t, n, got.BytesIn)
	})
}
