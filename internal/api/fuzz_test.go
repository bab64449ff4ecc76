package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
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

func FuzzLogQuery(f *testing.F) {
	for _, seed := range []string{"tail=5&until=2026-11-22T17:00:00Z&process=web.1", "source=router&request=abc", "release=3&text=%ff", "process=..", "release=0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Skip()
		}
		q, err := parseLogQuery(values)
		if err != nil {
			if octo.Kind(err) != octo.ErrInvalid {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		again, err := parseLogQuery(logValues(q))
		if err != nil || !again.Since.Equal(q.Since) || !again.Until.Equal(q.Until) {
			t.Fatalf("%q: %+v became %+v, %v", query, q, again, err)
		}
		again.Since, again.Until = q.Since, q.Until
		if again != q {
			t.Fatalf("%q: %+v became %+v", query, q, again)
		}
	})
}

// Whatever stream comes, it is read as messages that say the same again, or refused.
func FuzzMessages(f *testing.F) {
	f.Add(message{msgInput, []byte("text")}.put(message{kind: msgEnd}.put(nil)))
	f.Add([]byte("i\xff\xff\xff\xff"))
	f.Add([]byte("z\x00\x00\x00\x00"))
	f.Add([]byte("t\x00\x00\x00\x04\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r, again := &messageReader{from: bytes.NewReader(stream)}, []byte{}
		for {
			m, err := r.next()
			if err != nil {
				break
			}
			again = m.put(again)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("%q was read as %q", stream, again)
		}
	})
}

// Whatever a client sends to a program's server end, that comes to its end, and takes
// no more input than was allowed.
func FuzzAttach(f *testing.F) {
	program, err := messageOf(msgProgram, programRequest{Program: octo.Program{Command: []string{"x"}}, Input: true})
	if err != nil {
		f.Fatal(err)
	}
	control, err := messageOf(msgControl, octo.Control{Signal: "INT"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message{kind: msgEnd}.put(message{msgInput, []byte("text")}.put(program.put(nil))))
	f.Add(control.put(program.put(nil)))
	f.Add(message{msgExit, []byte("{}")}.put(program.put(nil)))
	f.Add([]byte("p\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		s := NewServer(Config{Runs: drain{t: t}, Authorize: func(context.Context, octo.Identity, octo.Action, octo.Name) error { return nil }})
		req := httptest.NewRequest(http.MethodPost, "/v1/apps/hello/runs/attached", bytes.NewReader(stream))
		req.Header.Set("Content-Type", attachType)
		resp, err := (&inProcess{handler: s.Handler(octo.Identity{User: "ann"})}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnprocessableEntity {
			t.Fatalf("%q: %d", stream, resp.StatusCode)
		}
	})
}

// drain is a program that reads all of its input.
type drain struct {
	otherRuns
	t *testing.T
}

// otherRuns are the methods that do not matter, under a name that hides none of them.
type otherRuns = Runs

// Attach reads until the end, or until somebody who is attached is gone.
func (d drain) Attach(ctx context.Context, _ octo.Identity, _ octo.Name, _ octo.Program, at octo.Attachment) (octo.Exit, error) {
	if at.In != nil {
		_, _ = io.Copy(io.Discard, at.In)
	}
	for {
		select {
		case ctl := <-at.Controls:
			if _, err := octo.ParseSignal(string(ctl.Signal)); err != nil && !ctl.Window.Valid() {
				d.t.Errorf("%+v came through", ctl)
			}
		case <-ctx.Done():
			return octo.Exit{}, nil
		}
	}
}
