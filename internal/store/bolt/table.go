package bolt

import (
	"slices"
	"sort"
	"strings"

	"github.com/octohost/octohost/internal/store"
)

// item is an entry, and the lease that it lives under, if any.
type item struct {
	store.Entry
	lease *lease
}

// table is every entry, sorted by key.
type table struct {
	items []item
}

// find returns where key is, or would be.
func (t *table) find(key string) (int, bool) {
	i := sort.Search(len(t.items), func(i int) bool { return t.items[i].Key >= key })
	return i, i < len(t.items) && t.items[i].Key == key
}

// get returns the item of key; without one, the zero item, whose version is Absent.
func (t *table) get(key string) item {
	if i, ok := t.find(key); ok {
		return t.items[i]
	}
	return item{}
}

// set puts it under its key, or removes key if its version is Absent.
func (t *table) set(key string, it item) {
	i, ok := t.find(key)
	switch {
	case it.Version == store.Absent && ok:
		t.items = slices.Delete(t.items, i, i+1)
	case it.Version == store.Absent:
	case ok:
		t.items[i] = it
	default:
		t.items = slices.Insert(t.items, i, it)
	}
}

// list returns the entries below prefix. They are the caller's, except for the
// bytes of their values, which never change.
func (t *table) list(prefix string) []store.Entry {
	from, _ := t.find(prefix)
	n := sort.Search(len(t.items)-from, func(i int) bool { return !strings.HasPrefix(t.items[from+i].Key, prefix) })
	entries := make([]store.Entry, n)
	for i := range entries {
		entries[i] = t.items[from+i].Entry
	}
	return entries
}

// release removes everything that l holds, and returns its keys.
func (t *table) release(l *lease) []string {
	var keys []string
	t.items = slices.DeleteFunc(t.items, func(it item) bool {
		if it.lease != l {
			return false
		}
		keys = append(keys, it.Key)
		return true
	})
	return keys
}
