package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/octohost/octohost/internal/octo"
)

// Docs are JSON documents of one type below a prefix.
type Docs[T any] struct {
	Store  Store
	Prefix string // ends in a slash
}

// Doc is a document with its name (its key without the prefix) and version.
type Doc[T any] struct {
	Name    string
	Value   T
	Version Version
}

// Get returns one document, or ErrNotFound.
func (d Docs[T]) Get(ctx context.Context, name string) (Doc[T], error) {
	e, err := d.Store.Get(ctx, d.Prefix+name)
	if err != nil {
		return Doc[T]{}, err
	}
	return d.decode(e)
}

// All returns every document, sorted by name.
func (d Docs[T]) All(ctx context.Context) ([]Doc[T], error) {
	entries, err := d.Store.List(ctx, d.Prefix)
	if err != nil {
		return nil, err
	}
	return d.decodeAll(entries, nil)
}

// Create writes a document that must not exist yet; ErrConflict if it does.
func (d Docs[T]) Create(ctx context.Context, name string, v T) (Version, error) {
	return d.put(ctx, name, v, Absent)
}

// Replace writes a document over the version that was read.
func (d Docs[T]) Replace(ctx context.Context, name string, v T, expect Version) (Version, error) {
	return d.put(ctx, name, v, expect)
}

// Update reads a document, changes it and writes it, again when somebody else was
// faster. The error of change ends it, and is returned as it is; ErrUnchanged
// leaves the document alone without being an error.
func (d Docs[T]) Update(ctx context.Context, name string, change func(*T) error) (T, error) {
	for {
		doc, err := d.Get(ctx, name)
		if err != nil {
			return doc.Value, err
		}
		switch err := change(&doc.Value); {
		case errors.Is(err, ErrUnchanged):
			return doc.Value, nil
		case err != nil:
			return doc.Value, err
		}
		_, err = d.put(ctx, name, doc.Value, doc.Version)
		if !errors.Is(err, octo.ErrConflict) {
			return doc.Value, err
		}
	}
}

// ErrUnchanged is what an Update's change returns to leave the document alone.
var ErrUnchanged = errors.New("unchanged")

// Delete removes a document; one that is not there is no error.
func (d Docs[T]) Delete(ctx context.Context, name string) error {
	return d.Store.Delete(ctx, d.Prefix+name, Any)
}

// Watch yields every document, sorted by name, first and after changes; see
// Store.Watch. Documents that did not change are not decoded again, so what a value
// points at must not be modified. One that cannot be decoded is an error instead of
// the whole.
func (d Docs[T]) Watch(ctx context.Context) iter.Seq2[[]Doc[T], error] {
	return func(yield func([]Doc[T], error) bool) {
		var last []Doc[T]
		for entries, err := range d.Store.Watch(ctx, d.Prefix) {
			if err == nil {
				var docs []Doc[T]
				if docs, err = d.decodeAll(entries, last); err == nil {
					last = docs
				}
			}
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if !yield(last, nil) {
				return
			}
		}
	}
}

// decodeAll decodes entries, taking what has the same name and version from last.
// Both are sorted by name.
func (d Docs[T]) decodeAll(entries []Entry, last []Doc[T]) ([]Doc[T], error) {
	docs := make([]Doc[T], 0, len(entries))
	for _, e := range entries {
		name := e.Key[len(d.Prefix):]
		for len(last) > 0 && last[0].Name < name {
			last = last[1:]
		}
		if len(last) > 0 && last[0].Name == name && last[0].Version == e.Version {
			docs = append(docs, last[0])
			continue
		}
		doc, err := d.decode(e)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

func (d Docs[T]) decode(e Entry) (Doc[T], error) {
	doc := Doc[T]{Name: e.Key[len(d.Prefix):], Version: e.Version}
	if err := json.Unmarshal(e.Value, &doc.Value); err != nil {
		return doc, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	return doc, nil
}

func (d Docs[T]) put(ctx context.Context, name string, v T, expect Version) (Version, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("encode %s%s: %w", d.Prefix, name, err)
	}
	return d.Store.Put(ctx, d.Prefix+name, value, expect)
}
