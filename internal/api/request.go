package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// maxBody is the most that a request may carry, in bytes. The largest is a key.
const maxBody = 64 << 10

// MaxTail is the most lines or events that a query may ask for at once.
const MaxTail = 100_000

// maxRelease bounds release numbers, so that they fit an int everywhere.
const maxRelease = 1_000_000_000

type createApp struct {
	Name string `json:"name"`
}

type setBranch struct {
	Branch string `json:"branch"` // empty means main or master
}

type rollback struct {
	To int `json:"to"` // 0 means the previous live one
}

// decode reads a request's body into v: one JSON value, bounded, without unknown
// fields.
func decode(r io.Reader, v any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the JSON value")
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return octo.Errorf(octo.ErrInvalid, "the request is larger than %d bytes", large.Limit)
	}
	return octo.Errorf(octo.ErrInvalid, "the request cannot be read: %v", err).WithHint("is the octo on the other side of another version?")
}

// parseRelease reads a release number in a path or a request.
func parseRelease(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxRelease || s[0] == '+' {
		return 0, octo.Errorf(octo.ErrInvalid, "%.40q is not the number of a release", s).WithHint("list them with: octo releases")
	}
	return n, nil
}

// selection is what log and event queries have in common.
type selection struct {
	tail   int
	since  time.Time
	follow bool
}

func (s selection) values() url.Values {
	v := url.Values{}
	if s.tail != 0 {
		v.Set("tail", strconv.Itoa(s.tail))
	}
	if !s.since.IsZero() {
		v.Set("since", s.since.UTC().Format(time.RFC3339Nano))
	}
	if s.follow {
		v.Set("follow", "true")
	}
	return v
}

func parseSelection(v url.Values) (selection, error) {
	var s selection
	for name := range v {
		if !slices.Contains([]string{"tail", "since", "follow"}, name) {
			return s, octo.Errorf(octo.ErrInvalid, "there is no parameter %.40q here", name)
		}
	}
	var err error
	if t := v.Get("tail"); t != "" {
		if s.tail, err = strconv.Atoi(t); err != nil || s.tail < 0 || s.tail > MaxTail {
			return s, octo.Errorf(octo.ErrInvalid, "tail=%.40q is not a number from 0 to %d", t, MaxTail)
		}
	}
	if t := v.Get("since"); t != "" {
		if s.since, err = time.Parse(time.RFC3339Nano, t); err != nil {
			return s, octo.Errorf(octo.ErrInvalid, "since=%.40q is not a time", t)
		}
	}
	if f := v.Get("follow"); f != "" {
		if s.follow, err = strconv.ParseBool(f); err != nil {
			return s, octo.Errorf(octo.ErrInvalid, "follow=%.40q is neither true nor false", f)
		}
	}
	return s, nil
}
