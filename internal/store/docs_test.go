package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// note is a document.
type note struct {
	Text  string `json:"text"`
	Count int    `json:"count,omitempty"`
}

func notes(t *testing.T) store.Docs[note] {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return store.Docs[note]{Store: s, Prefix: "notes/"}
}

func TestDocs_CreateReplaceDelete(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	_, err := d.Get(ctx, "a")
	require.ErrorIs(t, err, octo.ErrNotFound)
	first, err := d.Create(ctx, "a", note{Text: "one"})
	require.NoError(t, err)
	_, err = d.Create(ctx, "a", note{Text: "two"})
	require.ErrorIs(t, err, octo.ErrConflict)
	doc, err := d.Get(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, store.Doc[note]{Name: "a", Value: note{Text: "one"}, Version: first}, doc)

	second, err := d.Replace(ctx, "a", note{Text: "two"}, first)
	require.NoError(t, err)
	_, err = d.Replace(ctx, "a", note{Text: "three"}, first)
	require.ErrorIs(t, err, octo.ErrConflict)
	doc, err = d.Get(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, store.Doc[note]{Name: "a", Value: note{Text: "two"}, Version: second}, doc)

	require.NoError(t, d.Delete(ctx, "a"))
	require.NoError(t, d.Delete(ctx, "a"))
	_, err = d.Get(ctx, "a")
	require.ErrorIs(t, err, octo.ErrNotFound)
}

func TestDocs_AllIsSortedAndNamesHaveNoPrefix(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	all, err := d.All(ctx)
	require.NoError(t, err)
	require.Empty(t, all)
	for _, name := range []string{"b", "a/2", "a/1"} {
		_, err := d.Create(ctx, name, note{Text: name})
		require.NoError(t, err)
	}
	_, err = d.Store.Put(ctx, "other/a", []byte("no JSON"), store.Absent)
	require.NoError(t, err)
	all, err = d.All(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a/1", "a/2", "b"}, names(all))
	require.Equal(t, "a/2", all[1].Value.Text)
}

func names(docs []store.Doc[note]) []string {
	list := []string{}
	for _, d := range docs {
		list = append(list, d.Name)
	}
	return list
}

func TestDocs_UpdateLosesNothing(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	_, err := d.Create(ctx, "a", note{})
	require.NoError(t, err)
	const writers = 20
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = d.Update(ctx, "a", func(n *note) error {
				n.Count++
				return nil
			})
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	doc, err := d.Get(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, writers, doc.Value.Count)
}

func TestDocs_UpdateSeesWhatSomebodyElseWrote(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	_, err := d.Create(ctx, "a", note{Text: "mine"})
	require.NoError(t, err)
	var seen []string
	after, err := d.Update(ctx, "a", func(n *note) error {
		seen = append(seen, n.Text)
		if len(seen) == 1 {
			_, err := d.Store.Put(ctx, "notes/a", []byte(`{"text":"theirs"}`), store.Any)
			require.NoError(t, err)
		}
		n.Text += ", changed"
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"mine", "theirs"}, seen)
	require.Equal(t, "theirs, changed", after.Text)
}

func TestDocs_UpdateMayLeaveItAlone(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	version, err := d.Create(ctx, "a", note{Text: "one"})
	require.NoError(t, err)
	_, err = d.Update(ctx, "a", func(n *note) error { return store.ErrUnchanged })
	require.NoError(t, err)
	mine := errors.New("mine")
	_, err = d.Update(ctx, "a", func(n *note) error {
		n.Text = "two"
		return mine
	})
	require.Equal(t, mine, err)
	doc, err := d.Get(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, store.Doc[note]{Name: "a", Value: note{Text: "one"}, Version: version}, doc)

	_, err = d.Update(ctx, "missing", func(*note) error { return nil })
	require.ErrorIs(t, err, octo.ErrNotFound)
}

func TestDocs_UpdateEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	d := notes(t)
	_, err := d.Create(ctx, "a", note{})
	require.NoError(t, err)
	tries := 0
	_, err = d.Update(ctx, "a", func(n *note) error {
		if tries++; tries == 3 {
			cancel()
		}
		_, err := d.Store.Put(context.Background(), "notes/a", []byte(`{}`), store.Any) // always faster
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, tries)
}

func TestDocs_WatchYieldsDocuments(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	for _, name := range []string{"a", "b", "c"} {
		_, err := d.Create(ctx, name, note{Text: "old"})
		require.NoError(t, err)
	}
	steps := []func(){
		func() { update(t, d, "b", "new") },
		func() { require.NoError(t, d.Delete(ctx, "a")) },
		func() { _, err := d.Create(ctx, "bb", note{Text: "new"}); require.NoError(t, err) },
		func() {
			require.NoError(t, d.Delete(ctx, "c"))
			_, err := d.Create(ctx, "c", note{Text: "again"})
			require.NoError(t, err)
		},
	}
	var got [][]string
	for docs, err := range d.Watch(ctx) {
		require.NoError(t, err)
		var line []string
		for _, doc := range docs {
			line = append(line, doc.Name+"="+doc.Value.Text)
		}
		got = append(got, line)
		if len(steps) == 0 {
			break
		}
		steps[0]()
		steps = steps[1:]
	}
	require.Equal(t, [][]string{
		{"a=old", "b=old", "c=old"},
		{"a=old", "b=new", "c=old"},
		{"b=new", "c=old"},
		{"b=new", "bb=new", "c=old"},
		{"b=new", "bb=new", "c=again"},
	}, got)
}

func update(t *testing.T, d store.Docs[note], name, text string) {
	t.Helper()
	_, err := d.Update(context.Background(), name, func(n *note) error {
		n.Text = text
		return nil
	})
	require.NoError(t, err)
}

// pointed is a document in which it shows whether it was decoded again.
type pointed struct{ P *int }

func TestDocs_WatchDecodesOnlyWhatChanged(t *testing.T) {
	ctx := context.Background()
	d := store.Docs[pointed]{Store: notes(t).Store, Prefix: "p/"}
	for i := range 3 {
		_, err := d.Create(ctx, strconv.Itoa(i), pointed{P: &i})
		require.NoError(t, err)
	}
	var before []store.Doc[pointed]
	for docs, err := range d.Watch(ctx) {
		require.NoError(t, err)
		if before == nil {
			before = docs
			seven := 7
			_, err := d.Replace(ctx, "1", pointed{P: &seven}, docs[1].Version)
			require.NoError(t, err)
			continue
		}
		require.Same(t, before[0].Value.P, docs[0].Value.P)
		require.NotSame(t, before[1].Value.P, docs[1].Value.P)
		require.Equal(t, 7, *docs[1].Value.P)
		require.Same(t, before[2].Value.P, docs[2].Value.P)
		break
	}
}

func TestDocs_SaysWhichDocumentIsNotReadable(t *testing.T) {
	ctx, d := context.Background(), notes(t)
	_, err := d.Store.Put(ctx, "notes/bad", []byte("{"), store.Absent)
	require.NoError(t, err)
	_, err = d.Get(ctx, "bad")
	require.ErrorContains(t, err, "decode notes/bad")
	_, err = d.All(ctx)
	require.ErrorContains(t, err, "decode notes/bad")
	errs := 0
	for docs, err := range d.Watch(ctx) {
		if err != nil {
			require.ErrorContains(t, err, "decode notes/bad")
			errs++
			update := d.Store
			_, err := update.Put(ctx, "notes/bad", []byte(`{"text":"mended"}`), store.Any)
			require.NoError(t, err)
			continue
		}
		require.Equal(t, "mended", docs[0].Value.Text)
		break
	}
	require.Equal(t, 1, errs)
}

func TestDocs_SaysWhatCannotBeEncoded(t *testing.T) {
	d := store.Docs[chan int]{Store: notes(t).Store, Prefix: "c/"}
	_, err := d.Create(context.Background(), "a", nil)
	require.ErrorContains(t, err, "encode c/a")
}
