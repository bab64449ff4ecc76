package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// What was set with a release that fails is not set afterwards, unless somebody has set
// something else since.
func TestLoop_AFailedReleaseTakesItsSettingsAlong(t *testing.T) {
	w := newWorld(t)
	w.release(1)
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Live == 1 }, 1)
	before := octo.Settings{Config: 1}
	try := func(n int, since octo.Settings) {
		w.sick.Store(octo.NewInstanceID("hello", octo.Web, n, 1), true)
		r := octo.Release{
			App: "hello", Number: n, Image: octo.Version(n), Settings: octo.Settings{Config: n}, Before: &before,
			Processes: []octo.Process{octo.NewProcess(octo.Web, 5000)},
		}
		_, err := w.releases().Create(t.Context(), store.ReleaseName("hello", n), r)
		require.NoError(t, err)
		_, err = w.apps().Update(t.Context(), "hello", func(a *octo.App) error {
			a.Release, a.Last, a.Settings = n, n, since
			return nil
		})
		require.NoError(t, err)
	}
	try(2, octo.Settings{Config: 2})
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Release == 1 && a.Config == 1 }, 2)
	try(3, octo.Settings{Config: 7})
	w.eventually(func(a octo.App, _ octo.Release) bool { return a.Release == 1 && a.Config == 7 }, 3)
}
