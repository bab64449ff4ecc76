package daemon

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestDoctor_Keys(t *testing.T) {
	now := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	root, ann := octo.Key{User: "root", Admin: true}, octo.Key{User: "ann"}
	with := func(k octo.Key, expires time.Time) octo.Key { k.Expires = expires; return k }
	for want, c := range map[string]struct {
		level octo.FindingLevel
		keys  []octo.Key
	}{
		"nobody is admitted by SSH yet":      {octo.FindingWarning, nil},
		"2 admitted":                         {octo.FindingOK, []octo.Key{root, with(ann, day(30))}},
		"1 admitted, 1 expired (octo keys)":  {octo.FindingOK, []octo.Key{root, with(ann, day(-1))}},
		"keys expire soon: ann (2026-11-25)": {octo.FindingWarning, []octo.Key{root, with(ann, day(3))}},
		"soon no admin can come in by SSH: keys expire of root (2026-11-25)": {octo.FindingWarning, []octo.Key{ann, with(root, day(3))}},
		"no admin can come in by SSH, only on this machine":                  {octo.FindingWarning, []octo.Key{ann, with(root, day(-3))}},
	} {
		f := judgeKeys(c.keys, now)
		require.Equal(t, want, f.Message)
		require.Equal(t, c.level, f.Level, want)
	}
	var many []octo.Key
	for range 7 {
		many = append(many, with(ann, day(1)))
	}
	require.Contains(t, judgeKeys(append(many, root), now).Message, ", and 2 more")
}
