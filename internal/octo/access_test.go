package octo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// roles are those who may ask for something of the app hello, and who is not asked.
func roles() map[string]octo.Identity {
	ci, other := octo.Key{User: "hello/ci", App: "hello", Admin: true}, octo.Key{User: "other/ci", App: "other"}
	return map[string]octo.Identity{
		"nobody":      {},
		"stranger":    {User: "eve"},
		"viewer":      {User: "vic"},
		"deployer":    {User: "dan"},
		"co-owner":    {User: "oda"},
		"owner":       {User: "ann"},
		"deploy key":  ci.Identity(""),
		"another key": other.Identity(""),
		"admin":       {User: "root", Admin: true},
	}
}

// What everybody may do: "yes", "no" (denied), or "?" (there is no such app).
func TestAllowed(t *testing.T) {
	app := &octo.App{Name: "hello", Owner: "ann", Access: map[string]octo.Role{"vic": octo.RoleViewer, "dan": octo.RoleDeployer, "oda": octo.RoleOwner}}
	columns := []string{"nobody", "stranger", "viewer", "deployer", "co-owner", "owner", "deploy key", "another key", "admin"}
	for what, row := range map[octo.Action]string{
		octo.ActionNone:      "no  yes  yes  yes  yes  yes  yes  yes  yes",
		octo.ActionAppList:   "no  yes  yes  yes  yes  yes  yes  yes  yes",
		octo.ActionAppCreate: "no  yes  yes  yes  yes  yes  no   no   yes",
		octo.ActionAppRead:   "no  ?    yes  yes  yes  yes  yes  ?    yes",
		octo.ActionAppDeploy: "no  ?    no   yes  yes  yes  yes  ?    yes",
		octo.ActionAppChange: "no  ?    no   yes  yes  yes  no   ?    yes",
		octo.ActionAppSecret: "no  ?    no   yes  yes  yes  no   ?    yes",
		octo.ActionAppRun:    "no  ?    no   yes  yes  yes  no   ?    yes",
		octo.ActionAppManage: "no  ?    no   no   yes  yes  no   ?    yes",
		octo.ActionAdmin:     "no  no   no   no   no   no   no   no   yes",
		"something new":      "no  no   no   no   no   no   no   no   yes",
	} {
		cells := strings.Fields(row)
		require.Len(t, cells, len(columns), what)
		for i, who := range columns {
			target := app
			if !what.PerApp() {
				target = nil
			}
			err := octo.Allowed(roles()[who], what, target)
			switch cells[i] {
			case "yes":
				require.NoError(t, err, "%s: %s", who, what)
			case "no":
				require.ErrorIs(t, err, octo.ErrDenied, "%s: %s", who, what)
			default:
				require.Equal(t, octo.NoSuchApp("hello"), err, "%s: %s", who, what)
			}
			if what.PerApp() && who != "admin" {
				require.Error(t, octo.Allowed(roles()[who], what, nil), "%s: %s of no app", who, what)
			}
		}
	}
	for _, what := range octo.Actions() {
		require.NotEqual(t, octo.Action(""), what)
	}
}

func TestKey_Check(t *testing.T) {
	now := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	key := octo.Key{}
	require.NoError(t, key.Check(now), "never")
	key.Expires = now.Add(1)
	require.NoError(t, key.Check(now))
	key.Expires = now
	require.ErrorIs(t, key.Check(now), octo.ErrDenied)
	require.ErrorContains(t, key.Check(now), "your key expired on 2026-11-22 17:00 UTC")
}

func TestUserFrom(t *testing.T) {
	for comment, want := range map[string]string{"ann@laptop": "ann", "Ann.Smith@x.example": "ann-smith", "a_b@": "a-b"} {
		user, err := octo.UserFrom(comment)
		require.NoError(t, err)
		require.Equal(t, want, user)
	}
	for _, bad := range []string{"", "ann", "@laptop", "1@x", "a b@x", "ann;@x", "hello/ci@x", strings.Repeat("a", 200) + "@x"} {
		_, err := octo.UserFrom(bad)
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		require.Less(t, len(err.Error()), 300)
	}
}

func FuzzUserFrom(f *testing.F) {
	for _, s := range []string{"ann@laptop", "Ann.Smith@x", "@", "a_b@", "\x00@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		user, err := octo.UserFrom(comment)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		_, err = octo.ParseName(user)
		require.NoError(t, err, "who is admitted can be named")
	})
}
