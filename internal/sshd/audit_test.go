package sshd_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/git"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/sshd"
)

// ledger takes what the audit trail is told.
type ledger struct {
	mu   sync.Mutex
	told []octo.Audit
}

func (l *ledger) record(a octo.Audit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, a)
}

// take returns what was told since the last time, once there is something.
func (l *ledger) take(t *testing.T) []octo.Audit {
	t.Helper()
	var told []octo.Audit
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		told = l.told
		l.told = nil
		return len(told) > 0
	}, patience, time.Millisecond)
	return told
}

func TestAudit_RefusedLogins(t *testing.T) {
	var l ledger
	h := openHouse(t, func(c *sshd.Config, _ *git.Config) { c.Audit = l.record })
	scanner, err := net.Dial("tcp", "127.0.0.1:"+h.port)
	require.NoError(t, err)
	require.NoError(t, scanner.Close()) // tries no key: nothing to tell

	stranger := h.newKey("stranger")
	h.expel(stranger)
	require.Equal(t, 255, finish(t, h.sshAs("stranger", "octo@127.0.0.1", "apps")).exit)
	told := l.take(t)
	require.Len(t, told, 1)
	require.Equal(t, octo.Audit{
		Time: told[0].Time, Took: told[0].Took, Key: stranger.Fingerprint, From: "127.0.0.1", What: octo.AuditLogin,
		Detail: map[string]string{"ssh_user": `"octo"`}, Result: "denied", Error: "key is not admitted",
	}, told[0])

	late := h.newKey("late")
	late.Expires = time.Now().Add(-time.Minute)
	h.admit(late)
	require.Equal(t, 255, finish(t, h.sshAs("late", "octo@127.0.0.1", "apps")).exit)
	told = l.take(t)
	require.Equal(t, "late", told[0].User)
	require.Contains(t, told[0].Error, "your key expired on ")

	key := h.newKey("carol")
	client := h.dial(t, "carol")
	session, err := client.NewSession()
	require.NoError(t, err)
	require.NoError(t, session.Run("apps"))
	h.expel(key)
	session, err = client.NewSession()
	require.NoError(t, err)
	require.Error(t, session.Run("apps"))
	told = l.take(t)
	require.Equal(t, "carol", told[0].User)
	require.Equal(t, octo.AuditResult("denied"), told[0].Result)
}

func TestAudit_Git(t *testing.T) {
	var l ledger
	h := openHouse(t, func(c *sshd.Config, _ *git.Config) { c.Audit = l.record })
	require.NoError(t, h.createApp(t.Context(), octo.Identity{User: "alice"}, "hello"))
	for _, c := range []struct {
		user, line string
		what       string
		result     octo.AuditResult
	}{
		{"alice", "git-upload-pack hello", octo.AuditFetch, octo.AuditFailed}, // git misses the rest of the protocol
		{"bob", "git-upload-pack hello", octo.AuditFetch, "not_found"},
		{"bob", "git-receive-pack hello", octo.AuditPush, "conflict"},
	} {
		session, err := h.dial(t, c.user).NewSession()
		require.NoError(t, err)
		_ = session.Run(c.line) // how it ended is told
		told := l.take(t)
		require.Len(t, told, 1)
		require.Equal(t, c.what, told[0].What)
		require.Equal(t, c.result, told[0].Result, c.line)
		require.Equal(t, octo.Name("hello"), told[0].App)
		require.Equal(t, c.user, told[0].User)
		require.Equal(t, "127.0.0.1", told[0].From)
		require.NotEmpty(t, told[0].Key)
	}
}
