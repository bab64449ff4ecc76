package git

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestCommits_BetweenTwo(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	first := c.git("rev-parse", "HEAD")
	second := c.commit("a", "a")
	c.git("commit", "--allow-empty", "-qm", "Say \x1b[31mred\n\nand a body")
	third := c.git("rev-parse", "HEAD")
	c.git("push", "octo", "main")

	commits, more, err := h.Commits(t.Context(), "hello", first, third)
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, commits, 2)
	require.Equal(t, third, commits[0].ID)
	require.Equal(t, "Say [31mred", commits[0].Subject)
	require.Equal(t, second, commits[1].ID)
	require.NotEmpty(t, commits[1].Author)
	require.False(t, commits[1].Time.IsZero())

	commits, _, err = h.Commits(t.Context(), "hello", third, first)
	require.NoError(t, err)
	require.Empty(t, commits, "nothing was taken away")
	_, _, err = h.Commits(t.Context(), "hello", "--all", third)
	require.ErrorIs(t, err, octo.ErrInvalid)
}

func TestCommits_AreNotTooMany(t *testing.T) {
	h := startHost(t)
	c := newClone(t, h, "hello")
	first := c.git("rev-parse", "HEAD")
	for range maxCommits + 1 {
		c.git("commit", "--allow-empty", "-qm", "again")
	}
	c.git("push", "octo", "main")
	commits, more, err := h.Commits(t.Context(), "hello", first, c.git("rev-parse", "HEAD"))
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, commits, maxCommits)
}

func FuzzReadCommits(f *testing.F) {
	f.Add("1111\x00ann\x001700000000\x00subject\x00")
	f.Add("1111\x00ann\x00")
	f.Fuzz(func(t *testing.T, text string) {
		commits, err := readCommits(bufio.NewReader(strings.NewReader(text)))
		require.True(t, err != nil || len(commits) == (strings.Count(text, "\x00")+3)/4, text)
	})
}
