package proxy

import (
	"hash/maphash"
	"slices"
)

// fanout is how many children a level of an index has. Two levels make 65,536
// leaves: at 100,000 keys a leaf still holds one or two.
const fanout = 256

// index is an immutable map from text to values: a trie of two levels over a
// seeded hash, so that a changed copy shares all but three small pieces with the
// original, however many keys there are, and nobody can choose keys that collide.
type index[V any] struct {
	seed maphash.Seed
	root *[fanout]*branch[V]
	size int
}

type branch[V any] [fanout][]entry[V]

type entry[V any] struct {
	key   string
	value V
}

func newIndex[V any]() index[V] {
	return index[V]{seed: maphash.MakeSeed(), root: new([fanout]*branch[V])}
}

// slots returns the places of a hash on the two levels.
func slots(h uint64) (int, int) { return int(h >> 56), int(h >> 48 & (fanout - 1)) }

// find returns the value of key. It does not allocate, and does not lock.
func (x index[V]) find(key []byte) (v V, ok bool) {
	i, j := slots(maphash.Bytes(x.seed, key))
	b := x.root[i]
	if b == nil {
		return v, false
	}
	for k := range b[j] {
		if e := &b[j][k]; e.key == string(key) {
			return e.value, true
		}
	}
	return v, false
}

// edit changes a copy of an index; what it does not touch is shared.
type edit[V any] struct {
	index[V]
	owned [fanout]bool // branches that were copied already
}

func (x index[V]) edit() *edit[V] {
	root := *x.root
	x.root = &root
	return &edit[V]{index: x}
}

// get returns the value of key in the copy.
func (e *edit[V]) get(key string) (v V, ok bool) {
	return e.find([]byte(key))
}

// set gives key a value.
func (e *edit[V]) set(key string, v V) {
	leaf := e.leaf(key)
	i := slices.IndexFunc(*leaf, func(t entry[V]) bool { return t.key == key })
	if i < 0 {
		*leaf = append(slices.Clip(*leaf), entry[V]{key, v})
		e.size++
		return
	}
	*leaf = slices.Clone(*leaf)
	(*leaf)[i].value = v
}

// remove takes key out; one that is not there is no error.
func (e *edit[V]) remove(key string) {
	leaf := e.leaf(key)
	i := slices.IndexFunc(*leaf, func(t entry[V]) bool { return t.key == key })
	if i >= 0 {
		*leaf = slices.Delete(slices.Clone(*leaf), i, i+1)
		e.size--
	}
}

// leaf returns the leaf that key belongs to, in a branch that the edit owns. The
// leaf itself is still shared: it must be cloned before it is changed.
func (e *edit[V]) leaf(key string) *[]entry[V] {
	i, j := slots(maphash.String(e.seed, key))
	if !e.owned[i] {
		var b branch[V]
		if e.root[i] != nil {
			b = *e.root[i]
		}
		e.root[i], e.owned[i] = &b, true
	}
	return &e.root[i][j]
}
