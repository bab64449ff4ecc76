package api

import (
	"net/url"
	"strings"
	"testing"

	"github.com/octohost/octohost/internal/octo"
)

// Whatever a client sends, it is read or refused as invalid.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"name":"hello"}`, `{"name":"a","x":1}`, `{"name":"a"}{}`, `[]`, `{"name":"` + "\xff" + `"}`, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var req createApp
		if err := decode(strings.NewReader(body), &req); err != nil && octo.Kind(err) != octo.ErrInvalid {
			t.Fatalf("decode %q: %v", body, err)
		}
	})
}

// Whatever a server sends, the reader ends, and only done ends it without an error.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{`{"text":"x"}` + "\n" + `{"done":true}`, `{"item":{"text":"a"}}`, `{"error":{"kind":"denied","message":"no"}}`, `{"error":{}}`, `{`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		var last error
		for _, err := range items[octo.LogLine](strings.NewReader(stream)) {
			last = err
		}
		if last == nil && !strings.Contains(strings.ToLower(stream), "done") && !strings.Contains(stream, `\u`) {
			t.Fatalf("%q ended well without saying so", stream)
		}
	})
}

// What a query selects is the same after it has travelled.
func FuzzSelection(f *testing.F) {
	for _, seed := range []string{"tail=5&since=2026-11-22T17:00:00Z&follow=true", "tail=-1", "since=x", "a=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Skip()
		}
		sel, err := parseSelection(values)
		if err != nil {
			if octo.Kind(err) != octo.ErrInvalid {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		again, err := parseSelection(sel.values())
		if err != nil || again.tail != sel.tail || again.follow != sel.follow || !again.since.Equal(sel.since) {
			t.Fatalf("%q: %+v became %+v, %v", query, sel, again, err)
		}
	})
}
