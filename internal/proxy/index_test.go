package proxy

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIndex_BehavesLikeAMapAndLeavesOldVersionsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := newIndex[int](), map[string]int{}
		type version struct {
			x     index[int]
			model map[string]int
		}
		versions := []version{{x, map[string]int{}}}
		for range rapid.IntRange(1, 10).Draw(t, "edits") {
			e := x.edit()
			for range rapid.IntRange(0, 30).Draw(t, "changes") {
				key := fmt.Sprint(rapid.IntRange(0, 50).Draw(t, "key"))
				if rapid.Bool().Draw(t, "remove") {
					e.remove(key)
					delete(model, key)
				} else {
					v := rapid.Int().Draw(t, "value")
					e.set(key, v)
					model[key] = v
				}
			}
			x = e.index
			versions = append(versions, version{x, maps.Clone(model)})
		}
		for _, v := range versions {
			if v.x.size != len(v.model) {
				t.Fatalf("size %d, want %d", v.x.size, len(v.model))
			}
			for k := range 51 {
				key := fmt.Sprint(k)
				got, ok := v.x.find([]byte(key))
				want, has := v.model[key]
				if ok != has || got != want {
					t.Fatalf("%s is %d %t, want %d %t", key, got, ok, want, has)
				}
			}
		}
	})
}

func TestIndex_FindsWhatSharesALeaf(t *testing.T) {
	x := newIndex[int]().edit()
	for i := range 200_000 { // about three to a leaf
		x.set(fmt.Sprint(i), i)
	}
	require.Equal(t, 200_000, x.size)
	for i := range 200_000 {
		if v, ok := x.find(fmt.Append(nil, i)); !ok || v != i {
			require.Equal(t, i, v)
		}
	}
}
