package reap

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// What is kept of the configurations that no release has: the last ones, for people to
// look back, within a bound.
const (
	keepConfigs     = 50
	keepConfigBytes = 1 << 20
)

// trimConfigs removes the versions of an app's configuration that nothing refers to
// and that are not among the last ones. The newest always stays, so that no number is
// given out twice. No deploy is at work, which could have made one for a release that
// is not there yet.
func (r *Reaper) trimConfigs(ctx context.Context, app octo.App, releases []store.Doc[octo.Release]) error {
	used := map[string]bool{store.ConfigName(app.Config): true}
	for _, d := range releases {
		used[store.ConfigName(d.Value.Config)] = true
		if before := d.Value.Before; before != nil {
			used[store.ConfigName(before.Config)] = true
		}
	}
	prefix := store.AppConfigPrefix(app.Name)
	versions, err := r.Store.List(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list configurations: %w", err)
	}
	size, kept := 0, 0
	for i, v := range slices.Backward(versions) {
		name := v.Key[len(prefix):]
		if _, err := strconv.Atoi(name); err != nil || used[name] {
			continue
		}
		size, kept = size+len(v.Value), kept+1
		if i == len(versions)-1 || kept <= keepConfigs && size <= keepConfigBytes {
			continue
		}
		if err := r.Store.Delete(ctx, v.Key, store.Any); err != nil {
			return fmt.Errorf("delete configuration: %w", err)
		}
	}
	return nil
}

// forgetConfigs removes all versions of a destroyed app's configuration. There can be
// no more: who is about to make one sees that the app is being destroyed.
func (r *Reaper) forgetConfigs(ctx context.Context, app octo.Name) error {
	versions, err := r.Store.List(ctx, store.AppConfigPrefix(app))
	if err != nil {
		return fmt.Errorf("list configurations: %w", err)
	}
	for _, v := range versions {
		if err := r.Store.Delete(ctx, v.Key, store.Any); err != nil {
			return fmt.Errorf("delete configuration: %w", err)
		}
	}
	return nil
}
