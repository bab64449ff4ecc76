package apitest

import (
	"context"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// Litter leaves garbage lying around.
func (w *World) Litter(garbage ...octo.Garbage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.garbage = append(w.garbage, garbage...)
}

// Collect implements the Collect of api.Config.
func (w *World) Collect(_ context.Context, c octo.Collection) ([]octo.Garbage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := slices.Clone(w.garbage)
	if c.All {
		list = append(list, octo.Garbage{Kind: octo.GarbageBuildCache, Name: "of the engine", Why: "it can be made again", Bytes: 3 << 30})
	}
	if !c.Dry {
		w.garbage = slices.DeleteFunc(w.garbage, func(g octo.Garbage) bool { return g.Error == "" })
	}
	return list, nil
}
