package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

func TestShortHost(t *testing.T) {
	require.Equal(t, "0123abcd", shortHost("0123ABCDEF"))
	a, b := shortHost("test-abcdefgh"), shortHost("test-abcdefgi")
	require.Len(t, a, 8)
	require.NotEqual(t, a, b, "what is no hexadecimal number differs anywhere")
	require.Len(t, shortHost("x"), 8)
}

func TestEnvironment_ConfigurationCannotChangeWhatOctohostSays(t *testing.T) {
	rel := &octo.Release{App: "hello", Number: 7}
	config := []string{"A=1", "PORT=80", "OCTOHOST_APP=other", "B=x=y\nz", "OCTOHOST_OTHER=2"}
	require.Equal(t, []string{
		"A=1", "B=x=y\nz", "OCTOHOST_OTHER=2", "OCTOHOST_APP=hello", "OCTOHOST_RELEASE=v7",
		"OCTOHOST_PROCESS=web", "OCTOHOST_INSTANCE=hello.web.v7.1", "PORT=5000",
	}, environment(web(7, 1), rel, octo.NewProcess("web", 5000), config))
	require.NotContains(t, environment(web(7, 1), rel, octo.NewProcess("web", 0), nil), "PORT=0")
	require.Len(t, config, 5)
	require.Equal(t, "A=1", config[0])
}

func TestIsMeant_EveryPartOfTheIdentityCounts(t *testing.T) {
	rel := &octo.Release{App: "hello", Number: 7, Image: "sha256:a", Created: time.Unix(5, 6)}
	good := func() *engine.Container {
		return &engine.Container{Image: "sha256:a", Labels: identity(testHost, web(7, 1), rel)}
	}
	require.True(t, isMeant(good(), testHost, web(7, 1), rel))
	require.False(t, isMeant(good(), testHost+"0", web(7, 1), rel))
	require.False(t, isMeant(good(), testHost, web(7, 2), rel))
	require.False(t, isMeant(&engine.Container{Image: "sha256:a"}, testHost, web(7, 1), rel))
	other := good()
	other.Image = "sha256:b"
	require.False(t, isMeant(other, testHost, web(7, 1), rel))
	for label := range good().Labels {
		c := good()
		c.Labels[label] += "0"
		require.False(t, isMeant(c, testHost, web(7, 1), rel), label)
	}
}

func TestPick(t *testing.T) {
	box := func(id string, s engine.State, image string, started int64) engine.Container {
		return engine.Container{ID: id, State: s, Image: image, Started: time.Unix(started, 0)}
	}
	meant := func(c *engine.Container) bool { return c.Image == "right" }
	for name, tc := range map[string]struct {
		boxes   []engine.Container
		best    string
		surplus []string
	}{
		"none":                  {},
		"one":                   {[]engine.Container{box("a", "exited", "wrong", 1)}, "a", nil},
		"meant before running":  {[]engine.Container{box("a", "running", "wrong", 2), box("b", "exited", "right", 1)}, "b", []string{"a"}},
		"running before ended":  {[]engine.Container{box("a", "exited", "right", 2), box("b", "running", "right", 1)}, "b", []string{"a"}},
		"the youngest of three": {[]engine.Container{box("a", "exited", "right", 1), box("b", "exited", "right", 3), box("c", "exited", "right", 2)}, "b", []string{"a", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			best, surplus := pick(tc.boxes, meant)
			if tc.best == "" {
				require.Nil(t, best)
				return
			}
			require.Equal(t, tc.best, best.ID)
			var ids []string
			for _, c := range surplus {
				ids = append(ids, c.ID)
			}
			require.Equal(t, tc.surplus, ids)
		})
	}
}

func TestAssignmentOf_ReadsLabels(t *testing.T) {
	rel := &octo.Release{App: "hello", Number: 7, Created: time.Now()}
	c := engine.Container{Labels: identity(testHost, web(7, 1), rel)}
	require.Equal(t, web(7, 1), assignmentOf(c))
	require.Equal(t, octo.Assignment{Instance: "x"}, assignmentOf(engine.Container{Labels: map[string]string{engine.LabelInstance: "x", engine.LabelRelease: "v"}}))
}
