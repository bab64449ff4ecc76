package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// traced is a server with one route, whose handler is handle, and what it has told the
// audit trail.
type traced struct {
	*Server
	route route
	told  []octo.Audit
}

func trace1(pattern string, action octo.Action, handle func(*call) error) *traced {
	tr := &traced{route: route{pattern, action, handle}}
	tr.Server = NewServer(Config{
		Audit: func(a octo.Audit) { tr.told = append(tr.told, a) },
		Authorize: func(_ context.Context, who octo.Identity, what octo.Action, _ octo.Name) error {
			return octo.Allowed(who, what, &octo.App{Name: "hello", Owner: "ann"})
		},
	})
	tr.mux = http.NewServeMux()
	tr.mux.Handle(pattern, tr.dispatch(tr.route))
	return tr
}

func (tr *traced) ask(t *testing.T, user, method, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	who := octo.Identity{User: user, Key: "SHA256:" + user, Remote: "192.0.2.1"}
	tr.Handler(who).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}")))
	return rec
}

func TestTrace_ChangesAreToldBeforeTheyAreAcknowledged(t *testing.T) {
	var tr *traced
	tr = trace1("PUT /v1/apps/{app}/access/{user}", octo.ActionAppManage, func(c *call) error {
		c.note("role", "viewer")
		require.Empty(t, tr.told)
		return tr.answer(c, "done", nil)
	})
	answered := &watchedAnswer{ResponseRecorder: httptest.NewRecorder(), told: func() int { return len(tr.told) }}
	req := httptest.NewRequest(http.MethodPut, "/v1/apps/hello/access/bob", strings.NewReader("{}"))
	tr.Handler(octo.Identity{User: "ann", Key: "SHA256:ann", Remote: "192.0.2.1"}).ServeHTTP(answered, req)
	require.Equal(t, 1, answered.at, "before the first byte of the answer")
	require.Len(t, tr.told, 1, "once")
	a := tr.told[0]
	require.Positive(t, a.Took)
	a.Time, a.Took = a.Time.Local(), 0
	require.Equal(t, octo.Audit{
		Time: a.Time, User: "ann", Key: "SHA256:ann", From: "192.0.2.1", What: "PUT /v1/apps/{app}/access/{user}", App: "hello",
		Detail: map[string]string{"user": "bob", "role": "viewer"}, Result: octo.AuditOK,
	}, a)
}

// watchedAnswer notes how much was told when the answer began.
type watchedAnswer struct {
	*httptest.ResponseRecorder
	told func() int
	at   int
}

// WriteHeader notes it.
func (w *watchedAnswer) WriteHeader(status int) {
	w.at = w.told()
	w.ResponseRecorder.WriteHeader(status)
}

func TestTrace_OnlyWhatMattersIsTold(t *testing.T) {
	fine := func(c *call) error { return c.end(nil) }
	for _, c := range []struct {
		pattern string
		action  octo.Action
		user    string
		want    octo.AuditResult // "" means nothing
	}{
		{"GET /v1/apps/{app}", octo.ActionAppRead, "ann", ""},
		{"GET /v1/apps/{app}", octo.ActionAppRead, "eve", "not_found"},
		{"GET /v1/apps/{app}/config/values", octo.ActionAppSecret, "ann", octo.AuditOK},
		{"GET /v1/doctor", octo.ActionAdmin, "ann", "denied"},
		{"DELETE /v1/apps/{app}", octo.ActionAppManage, "ann", octo.AuditOK},
		{"DELETE /v1/apps/{app}", octo.ActionAppManage, "eve", "not_found"},
		{"POST /v1/apps", octo.ActionAppCreate, "eve", octo.AuditOK},
		{"/", octo.ActionNone, "eve", ""},
	} {
		tr := trace1(c.pattern, c.action, fine)
		method, path, known := strings.Cut(c.pattern, " ")
		if !known {
			method, path = http.MethodPost, "/v1/whatever"
		}
		tr.ask(t, c.user, method, strings.ReplaceAll(path, "{app}", "hello"))
		if c.want == "" {
			require.Empty(t, tr.told, "%+v", c)
			continue
		}
		require.Len(t, tr.told, 1, "%+v", c)
		require.Equal(t, c.want, tr.told[0].Result, "%+v", c)
	}
}

func TestTrace_FailuresAreToldWithoutSecrets(t *testing.T) {
	wrong := func(*call) error { return octo.Errorf(octo.ErrInvalid, "hunter2 is wrong") }
	tr := trace1("PUT /v1/apps/{app}/branch", octo.ActionAppManage, wrong)
	tr.ask(t, "ann", http.MethodPut, "/v1/apps/hello/branch")
	require.Equal(t, "hunter2 is wrong", tr.told[0].Error)
	for _, action := range []octo.Action{octo.ActionAppSecret, octo.ActionAppRun} {
		tr = trace1("PATCH /v1/apps/{app}/config", action, wrong)
		tr.ask(t, "ann", http.MethodPatch, "/v1/apps/hello/config")
		require.Equal(t, octo.AuditResult("invalid"), tr.told[0].Result)
		require.Empty(t, tr.told[0].Error)
	}
	tr = trace1("PUT /v1/apps/{app}/branch", octo.ActionAppManage, func(*call) error { panic("hunter2") })
	tr.ask(t, "ann", http.MethodPut, "/v1/apps/hello/branch")
	require.Equal(t, octo.AuditFailed, tr.told[0].Result)
	require.Empty(t, tr.told[0].Error)
}

func TestTrace_WhoGoesAwayIsToldOf(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	tr := trace1("POST /v1/apps/{app}/rollback", octo.ActionAppDeploy, func(c *call) error {
		leave()
		return c.Context().Err()
	})
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/apps/hello/rollback", strings.NewReader("{}"))
	tr.Handler(octo.Identity{User: "ann"}).ServeHTTP(httptest.NewRecorder(), req)
	require.Len(t, tr.told, 1)
	require.Equal(t, octo.AuditLeft, tr.told[0].Result)
	require.Equal(t, octo.LocalSocket, tr.told[0].From)
}

func TestTrace_ProgramsAreToldWhenTheyBegin(t *testing.T) {
	var tr *traced
	tr = trace1("POST /v1/apps/{app}/runs", octo.ActionAppRun, func(c *call) error {
		c.noteProgram(octo.Program{Command: []string{"psql", "--password", "hunter2"}, Env: []string{"TOKEN=hunter2"}})
		require.Equal(t, octo.AuditBegun, tr.told[0].Result)
		return tr.answer(c, "done", nil)
	})
	tr.ask(t, "ann", http.MethodPost, "/v1/apps/hello/runs")
	require.Len(t, tr.told, 2)
	for _, a := range tr.told {
		require.Equal(t, map[string]string{"command": "psql --password …", "env": "TOKEN"}, a.Detail)
	}
}

func TestArgv(t *testing.T) {
	for want, args := range map[string][]string{
		"bash -lc ls":                       {"bash", "-lc", "ls"},
		"env A=… B=… sh":                    {"env", "A=x", "B=", "sh"},
		"curl --token … -H x":               {"curl", "--token", "t", "-H", "x"},
		"x --api-key=… y":                   {"x", "--api-key=k", "y"},
		"psql postgres://…@db/x":            {"psql", "postgres://u:p@db/x"},
		"x --password --verbose --secret …": {"x", "--password", "--verbose", "--secret", "s"},
		"":                                  nil,
	} {
		require.Equal(t, want, argv(args))
	}
	c := &call{trace: trace{watched: true}}
	c.note("command", strings.Repeat("ä", 1000))
	require.LessOrEqual(t, len(c.trace.audit.Detail["command"]), maxNote+len("…"))
}
