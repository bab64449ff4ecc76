package story_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// Only one branch deploys. Whatever else is pushed is refused with what to type
// instead, and changes nothing.
func TestPushRefs_OnlyMainDeploys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.commit("v2")
	r.git("tag", "v2.0").ok()
	r.git("branch", "feature").ok()
	const instead = "git push octo HEAD:main)"
	for _, c := range []struct{ what, says string }{
		{"feature", " ! [remote rejected] feature -> feature (only main or master deploys; to deploy this commit: " + instead},
		{"main:staging", " ! [remote rejected] main -> staging (only main or master deploys; to deploy this commit: " + instead},
		{"v2.0", " ! [remote rejected] v2.0 -> v2.0 (tags do not deploy; push the commit: " + instead},
		{"main:refs/notes/x", " ! [remote rejected] main -> refs/notes/x (only branches deploy; push the commit: " + instead},
		{":main", " ! [remote rejected] main (branches cannot be deleted here; to remove the app: octo apps:destroy)"},
	} {
		out := r.git("push", "octo", c.what)
		require.Equal(t, 1, out.code, c.what)
		out.says(c.says)
		r.stillServes("v1")
	}
	var releases []octo.Release
	w.json(&releases, "releases", "-a", "hello")
	require.Len(t, releases, 1)
	require.Equal(t, []string{"HEAD", "refs/heads/main"}, r.remoteRefs())

	out := r.git("push", "octo", "main", "feature", "v2.0") // the good one deploys
	require.Equal(t, 1, out.code)
	out.says(" ! [remote rejected] feature -> feature (only main or master deploys; to deploy this commit: "+instead,
		" ! [remote rejected] v2.0 -> v2.0 (tags do not deploy; push the commit: "+instead)
	r.stillServes("v2")
	require.Equal(t, []string{"HEAD", "refs/heads/main"}, r.remoteRefs())

	r.commit("v3")
	out = r.git("push", "--atomic", "octo", "main", "feature") // all or nothing
	require.NotZero(t, out.code)
	require.Contains(t, out.err, "main -> main (nothing of an atomic push is deployed when a part of it is refused)")
	r.stillServes("v2")
}

// remoteRefs are the names of what the server shows of its repository.
func (r *repo) remoteRefs() []string {
	r.w.t.Helper()
	var names []string
	for line := range strings.Lines(r.git("ls-remote", "octo").ok()) {
		names = append(names, strings.Fields(line)[1])
	}
	return names
}

func TestPushRefs_HistoryIsRewrittenByForceOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	r.deploy("v2")
	r.git("reset", "-q", "--hard", "HEAD~1").ok()
	r.commit("other")
	out := r.push()
	require.Equal(t, 1, out.code)
	require.Contains(t, out.err, "! [rejected]        main -> main (non-fast-forward)")
	r.stillServes("v2")
	r.git("push", "--force", "octo", "main").ok()
	r.stillServes("other")

	out = r.push() // nothing new is no deploy
	out.ok()
	require.Contains(t, out.err, "Everything up-to-date")
	out = r.git("commit", "-q", "--allow-empty", "-m", "again") // the same files once more are one
	out.ok()
	out = r.push()
	out.ok()
	out.says("-----> Releasing v4 (it goes on by itself from here, also if you disconnect)")
}

// A repository whose branch is master deploys too, and can be cloned again.
func TestPushRefs_MasterAndClone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.git("branch", "-m", "master").ok()
	r.git("push", "octo", "master").ok()
	r.stillServes("v1")
	w.command("git", "clone", "-q", w.gitURL("hello"), w.path("clone")).ok()
	require.Equal(t, r.git("rev-parse", "HEAD").out, w.command("git", "-C", w.path("clone"), "rev-parse", "HEAD").out)
	require.Equal(t, "master", strings.TrimSpace(w.command("git", "-C", w.path("clone"), "branch", "--show-current").out))
	out := w.command("git", "clone", "-q", w.gitURL("other"), w.path("clone2"))
	require.Equal(t, 128, out.code)
	out.says(" !     no app named other", "       list yours with: octo apps")
}

// A clock that goes wrong on somebody's laptop is no reason to refuse their commits.
func TestPushRefs_CommitsFromAnyTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	r.deploy("v1")
	for _, date := range []string{"1970-01-02T00:00:00Z", "2099-12-31T23:59:59+1400", "2001-09-09T01:46:40-1200"} {
		past := *r
		past.w = w.with(t, "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
		past.deploy("at " + date)
	}
	var releases []octo.Release
	w.json(&releases, "releases", "-a", "hello")
	require.Len(t, releases, 4)
	require.Equal(t, 4, releases[0].Number, "in the order in which they came")
}

func badNames() map[string]string {
	return map[string]string{
		"Hello":                 `"Hello" is not a valid name: it must start with a lower-case letter`,
		"hellO":                 `"hellO" is not a valid name: it contains 'O'`,
		"a;id":                  `"a;id" is not a valid name: it contains ';'`,
		"..":                    `".." is not a valid name: it must start with a lower-case letter`,
		"a/../../etc":           `"a/../../etc" is not a valid name: it contains '/'`,
		"$(id)":                 `"$(id)" is not a valid name: it must start with a lower-case letter`,
		"a`id`":                 "\"a`id`\" is not a valid name: it contains '`'",
		"hello-":                `"hello-" is not a valid name: it ends with a hyphen`,
		strings.Repeat("a", 64): `"` + strings.Repeat("a", 64) + `" is not a valid name: it has 64 characters`,
	}
}

// Names that are none are refused at every door in the same words, and leave nothing.
func TestNames_BadOnesAtEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.repo("hello")
	const hint = "use a letter, then letters, digits or hyphens, all lower case, at most 39 characters (for example my-site)"
	for name, why := range badNames() {
		out := r.git("push", "ssh://octo@"+w.ssh+"/"+name, "main")
		require.Equal(t, 128, out.code, name)
		out.says(" !     "+why, "       "+hint)

		out = w.octo("apps:create", name)
		require.Equal(t, 2, out.code, name)
		out.says("error: "+why, "hint:  "+hint)

		out = w.ssher("apps:create", "'"+strings.ReplaceAll(name, "'", "")+"'") // quoted, as a shell would want it
		require.Equal(t, 2, out.code, name)
		out.says("error: "+why, "hint:  "+hint)
	}
	require.Equal(t, "[]", strings.TrimSpace(w.octo("apps", "--json").ok()))
	require.NotContains(t, w.command("find", w.path("data")).ok(), "etc")
	status, _ := w.get("a;id.localhost", "/")
	require.Equal(t, http.StatusBadRequest, status)
}
