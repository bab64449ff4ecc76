package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/audit"
	"github.com/octohost/octohost/internal/octo"
)

func open(t testing.TB, dir string) *audit.Trail {
	t.Helper()
	trail, err := audit.Open(audit.Config{Dir: dir, Max: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return trail
}

func everything(octo.Audit) bool { return true }

// whats returns what was done, by a query.
func whats(t *testing.T, trail *audit.Trail, q octo.AuditQuery, sees func(octo.Audit) bool) []string {
	t.Helper()
	list := []string{}
	for a, err := range trail.Read(t.Context(), q, sees) {
		require.NoError(t, err)
		list = append(list, a.What)
	}
	return list
}

func did(user string, app octo.Name, what string) octo.Audit {
	return octo.Identity{User: user, Key: "SHA256:" + user, Remote: "192.0.2.1"}.Audited(what, app).Ended(nil)
}

func TestTrail_IsThereAfterAStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	trail := open(t, dir)
	want := did("ann", "hello", "one")
	want.Detail = map[string]string{"to": "v1"}
	trail.Record(want)
	for a, err := range open(t, dir).Read(t.Context(), octo.AuditQuery{}, everything) {
		require.NoError(t, err)
		require.Equal(t, want, a)
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "it is for nobody else")
}

func TestTrail_Selects(t *testing.T) {
	trail := open(t, t.TempDir())
	trail.Record(did("ann", "hello", "one"))
	trail.Record(did("bob", "hello", "two"))
	later := time.Now()
	trail.Record(did("ann", "other", "three"))
	trail.Record(did("ann", "hello", "four"))
	for want, q := range map[string]octo.AuditQuery{
		"[one two three four]": {},
		"[three four]":         {Tail: 2},
		"[one two four]":       {App: "hello"},
		"[two four]":           {App: "hello", Tail: 2},
		"[one four]":           {App: "hello", User: "ann"},
		"[four]":               {App: "hello", Since: later},
		"[]":                   {Since: time.Now().Add(time.Hour)},
	} {
		require.Equal(t, want, fmt.Sprint(whats(t, trail, q, everything)), "%+v", q)
	}
	require.Equal(t, []string{"one", "four"}, whats(t, trail, octo.AuditQuery{Tail: 2}, func(a octo.Audit) bool { return a.App == "hello" && a.User == "ann" }))
}

func TestTrail_Follows(t *testing.T) {
	trail := open(t, t.TempDir())
	trail.Record(did("ann", "", "before"))
	trail.Record(did("ann", "", "last"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for a, err := range trail.Read(ctx, octo.AuditQuery{Tail: 1, Follow: true}, everything) {
		require.NoError(t, err)
		if got = append(got, a.What); len(got) == 3 {
			cancel()
			continue
		}
		trail.Record(did("ann", "", "next"))
	}
	require.Equal(t, []string{"last", "next", "next"}, got)
}

// Those who knock without a key are many. They must not push out what people did.
func TestTrail_RefusalsHaveTheirRation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trail := open(t, t.TempDir())
		refused := func(from string) octo.Audit {
			return octo.Audit{Time: time.Now(), From: from, What: octo.AuditLogin, Result: octo.ResultOf(octo.ErrDenied)}
		}
		trail.Record(did("ann", "", "first"))
		for i := range 1000 {
			trail.Record(refused(fmt.Sprint("192.0.2.", i%200)))
			trail.Record(refused("198.51.100.1"))
		}
		q := octo.AuditQuery{Tail: 10_000}
		require.Len(t, whats(t, trail, q, everything), 121)
		require.Len(t, whats(t, trail, q, func(a octo.Audit) bool { return a.From == "198.51.100.1" }), 10)
		trail.Record(did("ann", "", "still"))
		require.Equal(t, []string{"still"}, whats(t, trail, octo.AuditQuery{Tail: 1}, everything), "people are not counted")

		time.Sleep(time.Hour)
		trail.Record(refused("198.51.100.1"))
		told := 0
		for a, err := range trail.Read(t.Context(), q, func(a octo.Audit) bool { return a.What == octo.AuditLogin }) {
			require.NoError(t, err)
			told += 1 + a.Missed
		}
		require.Equal(t, 2001, told, "nothing goes untold")
		for range 100 {
			a := did("mallory", "hello", "GET /v1/apps/{app}")
			a.Result = octo.ResultOf(octo.ErrNotFound)
			trail.Record(a)
		}
		require.Len(t, whats(t, trail, octo.AuditQuery{User: "mallory"}, everything), 20)
	})
}

// What the disk does not take, the log has.
func TestTrail_TellsTheLogWhatItCannotKeep(t *testing.T) {
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "audit")
	trail, err := audit.Open(audit.Config{Dir: dir, Max: 1 << 20, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // a file where the directory should be
	trail.Record(did("ann", "hello", "something"))
	require.Contains(t, log.String(), "cannot keep audit record")
	require.Contains(t, log.String(), "something")
}

func TestAudit_Ended(t *testing.T) {
	for want, err := range map[octo.AuditResult]error{
		"ok": nil, "failed": errors.New("secret thing"), "denied": fmt.Errorf("x: %w", octo.Errorf(octo.ErrDenied, "no")),
		"timeout": octo.ErrTimeout, "not_found": octo.NoSuchApp("x"), "invalid": octo.ErrInvalid, "conflict": octo.ErrConflict, "unavailable": octo.ErrUnavailable,
	} {
		a := octo.Identity{User: "root", Admin: true}.Audited("x", "").Ended(err)
		require.Equal(t, want, a.Result)
		require.Equal(t, octo.LocalSocket, a.From)
		require.NotContains(t, a.Error, "secret", "what was not meant for people is not told")
	}
}
