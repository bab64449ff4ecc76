package api

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"sync"

	"github.com/octohost/octohost/internal/octo"
)

// frame is one line of a streamed answer. The last one is done or an error; where
// neither comes, the connection was lost.
type frame struct {
	Text  string          `json:"text,omitempty"` // progress for people, in pieces of any size
	Item  json.RawMessage `json:"item,omitempty"` // one element of the answer
	Error *wireError      `json:"error,omitempty"`
	Done  bool            `json:"done,omitempty"`
}

// frameType is the media type of a streamed answer.
const frameType = "application/x-ndjson"

// frameWriter sends frames as they come. It sends the status with the first one,
// so that a request which fails at once gets the status of its failure.
type frameWriter struct {
	w http.ResponseWriter

	mu     sync.Mutex
	opened bool
}

// Write sends p as progress; it makes a frameWriter an io.Writer.
func (f *frameWriter) Write(p []byte) (int, error) {
	if err := f.send(frame{Text: string(p)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// item sends one element.
func (f *frameWriter) item(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.send(frame{Item: raw})
}

// begun reports whether the status is out, so that it cannot change any more.
func (f *frameWriter) begun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

func (f *frameWriter) send(fr frame) error {
	line, err := json.Marshal(fr)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.opened {
		f.opened = true
		f.w.Header().Set("Content-Type", frameType)
		f.w.WriteHeader(http.StatusOK)
	}
	if _, err := f.w.Write(append(line, '\n')); err != nil {
		return err
	}
	return http.NewResponseController(f.w).Flush()
}

// readFrames yields the frames of a stream up to its end; a stream that breaks off
// ends with ErrUnavailable.
func readFrames(r io.Reader) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		dec := json.NewDecoder(r)
		for {
			var f frame
			switch err := dec.Decode(&f); {
			case err != nil:
				yield(frame{}, brokenOff(err))
				return
			case f.Error != nil:
				yield(frame{}, f.Error.restore())
				return
			case f.Done:
				return
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

func brokenOff(err error) error {
	var told *octo.Error
	if errors.As(err, &told) {
		return told
	}
	return octo.Errorf(octo.ErrUnavailable, "the connection to octohost ended in the middle of the answer").
		WithHint("what was begun goes on by itself; look with: octo events")
}

// items yields the elements of a stream.
func items[T any](r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for f, err := range readFrames(r) {
			if err != nil {
				yield(zero, err)
				return
			}
			if f.Item == nil {
				continue
			}
			var v T
			if err := json.Unmarshal(f.Item, &v); err != nil {
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
