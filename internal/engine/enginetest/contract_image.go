package enginetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const contractDockerfile = `FROM scratch
ENV GREETING=hi
COPY testapp /testapp
EXPOSE 8080 5000/tcp 53/udp
ENTRYPOINT ["/testapp"]
CMD ["say", "hello"]
`

func (s *suite) image() {
	var out bytes.Buffer
	spec := engine.BuildSpec{Tag: s.host + ":one", Dockerfile: "deploy/Dockerfile", Labels: s.labels}
	id, err := s.Build(s.Context(), spec, Source(s, map[string]string{"deploy/Dockerfile": contractDockerfile}), &out)
	require.NoError(s, err)
	require.Contains(s, out.String(), "EXPOSE 8080")
	require.NotContains(s, out.String(), s.host, "the labels are nobody's business")
	require.True(s, strings.HasPrefix(id, "sha256:"), id)

	for _, ref := range []string{id, s.host + ":one"} {
		image, err := s.Image(s.Context(), ref)
		require.NoError(s, err)
		require.Equal(s, id, image.ID)
		require.Equal(s, []string{s.host + ":one"}, image.Tags)
		require.Equal(s, s.host, image.Labels[engine.LabelHost])
		require.Equal(s, []int{5000, 8080}, image.Ports)
		require.Equal(s, []string{"/testapp"}, image.Entrypoint)
		require.Equal(s, []string{"say", "hello"}, image.Command)
		require.Contains(s, image.Env, "GREETING=hi")
		require.WithinDuration(s, time.Now(), image.Created, time.Hour)
	}
	all, err := s.Images(s.Context(), s.labels)
	require.NoError(s, err)
	require.Len(s, all, 1)
	require.Equal(s, id, all[0].ID)
	_, err = s.Image(s.Context(), s.host+":none")
	require.ErrorIs(s, err, octo.ErrNotFound)
}

func (s *suite) imageTags() {
	id := HelloImage(s, s.Engine, s.host, nil)
	other := HelloImage(s, s.Engine, s.host, map[string]string{"Dockerfile": "FROM scratch\nCOPY testapp /other\nCMD [\"/other\"]\n"})
	require.NotEqual(s, id, other)
	require.NoError(s, s.Tag(s.Context(), id, s.host+":a"))
	require.NoError(s, s.Tag(s.Context(), id, s.host+":b"))
	require.NoError(s, s.Tag(s.Context(), other, s.host+":a"), "a tag moves")
	image, err := s.Image(s.Context(), s.host+":a")
	require.NoError(s, err)
	require.Equal(s, other, image.ID)
	require.ErrorIs(s, s.Tag(s.Context(), s.host+":none", s.host+":c"), octo.ErrNotFound)

	require.NoError(s, s.Tag(s.Context(), id, s.host+":c"))
	require.NoError(s, s.RemoveImage(s.Context(), s.host+":c"))
	image, err = s.Image(s.Context(), id)
	require.NoError(s, err)
	require.Equal(s, []string{s.host + ":b"}, image.Tags, "removing one of several tags leaves the image")
	require.NoError(s, s.Tag(s.Context(), id, s.host+":c"))
	require.NoError(s, s.RemoveImage(s.Context(), id))
	_, err = s.Image(s.Context(), s.host+":b")
	require.ErrorIs(s, err, octo.ErrNotFound, "removing an id removes its tags")
	require.NoError(s, s.RemoveImage(s.Context(), id), "gone is no error")
}

func (s *suite) imageInUse() {
	spec := s.hello("EXIT_CODE=0")
	require.NoError(s, s.Tag(s.Context(), spec.Image, s.host+":a"))
	require.NoError(s, s.Tag(s.Context(), spec.Image, s.host+":b"))
	c := s.start(spec)
	s.ended(c.ID) // also one that has stopped needs its image
	require.ErrorIs(s, s.RemoveImage(s.Context(), spec.Image), octo.ErrConflict)
	image, err := s.Image(s.Context(), spec.Image)
	require.NoError(s, err)
	require.Len(s, image.Tags, 2, "it is as it was")
	require.NoError(s, s.Remove(s.Context(), c.ID))
	require.NoError(s, s.RemoveImage(s.Context(), spec.Image))
}

func (s *suite) buildFails() {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"parse error":   {map[string]string{"Dockerfile": "FROM scratch\nFOO bar\n"}, "unknown instruction"},
		"no Dockerfile": {map[string]string{"other": ""}, "Dockerfile"},
		"failing step":  {map[string]string{"Dockerfile": "FROM scratch\nCOPY testapp /testapp\nRUN [\"/testapp\", \"exit\", \"3\"]\n"}, "returned a non-zero code: 3"},
	} {
		s.Run(name, func(*testing.T) {
			var out bytes.Buffer
			source := Source(s, c.files)
			if name == "no Dockerfile" {
				source = bytes.NewReader(Tar(s, c.files))
			}
			_, err := s.Build(s.Context(), engine.BuildSpec{Dockerfile: "Dockerfile", Labels: s.labels}, source, &out)
			require.ErrorIs(s, err, octo.ErrInvalid)
			var failed *engine.BuildError
			require.ErrorAs(s, err, &failed)
			require.Contains(s, failed.Message, c.want)
			if name == "failing step" {
				require.Contains(s, failed.Step, `RUN ["/testapp", "exit", "3"]`)
			}
		})
	}
	images, err := s.Images(s.Context(), s.labels)
	require.NoError(s, err)
	for _, image := range images {
		require.Contains(s, image.Labels, engine.LabelCache, "at most what makes the next build faster")
	}
}
