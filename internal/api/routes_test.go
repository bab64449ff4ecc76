package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// request makes a well-formed request for a route's pattern.
func request(pattern string) *http.Request {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = http.MethodGet, "/v1/whatever"
	}
	path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(strings.NewReplacer("{app}", "hello", "{release}", "1", "{other}", "2").Replace(path), "x")
	return httptest.NewRequest(method, path, strings.NewReader("{}"))
}

func TestRoutes_EveryOneNamesAnAction(t *testing.T) {
	open := []string{"GET /v1/about", "/"}
	for _, rt := range NewServer(Config{}).routes() {
		require.Contains(t, octo.Actions(), rt.action, rt.pattern)
		require.Equal(t, rt.perApp(), rt.action.PerApp(), "%s: %s", rt.pattern, rt.action)
		if rt.action == octo.ActionNone {
			require.Contains(t, open, rt.pattern, "this route would be open to everybody who got in")
		}
	}
}

// A handler that ran would crash, because there is nothing behind it.
func TestRoutes_NothingRunsBeforeAuthorize(t *testing.T) {
	type question struct {
		who  octo.Identity
		what octo.Action
		app  octo.Name
	}
	who := octo.Identity{User: "eve", Key: "SHA256:eve"}
	var asked []question
	s := NewServer(Config{Authorize: func(_ context.Context, who octo.Identity, what octo.Action, app octo.Name) error {
		asked = append(asked, question{who, what, app})
		return octo.Errorf(octo.ErrDenied, "no")
	}})
	for _, rt := range s.routes() {
		asked = nil
		rec := httptest.NewRecorder()
		s.Handler(who).ServeHTTP(rec, request(rt.pattern))
		require.Equal(t, http.StatusForbidden, rec.Code, rt.pattern)
		want := question{who: who, what: rt.action}
		if rt.perApp() {
			want.app = "hello"
		}
		require.Equal(t, []question{want}, asked, rt.pattern)
	}
}

func TestRoutes_WithoutAuthorizeOrIdentityAllIsDenied(t *testing.T) {
	yes := func(context.Context, octo.Identity, octo.Action, octo.Name) error { return nil }
	for _, rt := range NewServer(Config{}).routes() {
		rec := httptest.NewRecorder()
		NewServer(Config{}).Handler(octo.Identity{User: "root", Admin: true}).ServeHTTP(rec, request(rt.pattern))
		require.Equal(t, http.StatusForbidden, rec.Code, rt.pattern)

		rec = httptest.NewRecorder()
		NewServer(Config{Authorize: yes}).Handler(octo.Identity{Admin: true}).ServeHTTP(rec, request(rt.pattern))
		require.Equal(t, http.StatusForbidden, rec.Code, rt.pattern)
	}
}

func TestRoutes_BadAppNamesReachNothing(t *testing.T) {
	asked := func(context.Context, octo.Identity, octo.Action, octo.Name) error { panic("asked about a bad name") }
	s := NewServer(Config{Authorize: asked})
	for _, name := range []string{"Hello", "a;b", "%2e%2e", "a%2fb", strings.Repeat("a", 40), "a%00", "-x"} {
		rec := httptest.NewRecorder()
		s.Handler(octo.Identity{User: "eve"}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/apps/"+name, nil))
		require.Equal(t, http.StatusUnprocessableEntity, rec.Code, name)
	}
}
