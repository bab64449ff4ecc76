package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
	"github.com/octohost/octohost/internal/octo"
)

// brokenApps fails in a given way; where begin is set, only after some progress.
type brokenApps struct {
	others
	err   error
	begin bool
}

// others are the methods that do not matter, under a name that hides none of them.
type others = api.Apps

func (b brokenApps) Apps(context.Context, octo.Identity) ([]octo.AppStatus, error) {
	return nil, b.err
}

func (b brokenApps) DestroyApp(_ context.Context, _ octo.Identity, _ octo.Name, out io.Writer) error {
	if b.begin {
		if _, err := io.WriteString(out, "begun\n"); err != nil {
			return err
		}
	}
	return b.err
}

// broken returns a configuration that lets everybody do everything, which fails.
func broken(apps brokenApps) api.Config {
	return api.Config{Apps: apps, Authorize: func(context.Context, octo.Identity, octo.Action, octo.Name) error { return nil }}
}

func TestErrors_KeepTheirKindAndWords(t *testing.T) {
	for _, kind := range []error{octo.ErrNotFound, octo.ErrConflict, octo.ErrInvalid, octo.ErrDenied, octo.ErrUnavailable, octo.ErrTimeout} {
		told := octo.Errorf(kind, "seen <that> & more").WithHint("type this")
		for _, begin := range []bool{false, true} {
			c := inProcessDoor(t, broken(brokenApps{err: fmt.Errorf("inner words: %w", told), begin: begin}), alice)
			err := c.DestroyApp(t.Context(), "hello", io.Discard)
			require.ErrorIs(t, err, kind)
			require.Equal(t, told, err)
		}
		c := socketDoor(t, broken(brokenApps{err: fmt.Errorf("read it: %w", kind)}), admin)
		_, err := c.Apps(t.Context())
		require.ErrorIs(t, err, kind)
		require.EqualError(t, err, "read it: "+kind.Error())
	}
}

func TestErrors_InternalOnesAreLoggedNotTold(t *testing.T) {
	for _, begin := range []bool{false, true} {
		var log strings.Builder
		cfg := broken(brokenApps{err: errors.New("secret path /var/lib/x"), begin: begin})
		cfg.Log = logTo(&log)
		err := inProcessDoor(t, cfg, alice).DestroyApp(t.Context(), "hello", io.Discard)
		require.ErrorContains(t, err, "internal error ")
		require.NotContains(t, err.Error(), "secret")
		require.NoError(t, octo.Kind(err))
		var told *octo.Error
		require.ErrorAs(t, err, &told)
		id := strings.TrimPrefix(told.Message, "internal error ")
		require.Len(t, id, 26)
		require.Contains(t, log.String(), "id="+id)
		require.Contains(t, log.String(), "secret path /var/lib/x")
	}
}

// Without anything behind it, every handler panics.
func TestErrors_PanicsEndOnlyTheRequest(t *testing.T) {
	var log strings.Builder
	cfg := broken(brokenApps{})
	cfg.Log = logTo(&log)
	for name, open := range doors() {
		t.Run(name, func(t *testing.T) {
			c := open(t, cfg, admin)
			_, err := c.Keys(t.Context())
			require.ErrorContains(t, err, "internal error")
			_, err = c.Apps(t.Context())
			require.NoError(t, err)
		})
	}
	require.Contains(t, log.String(), "panic: runtime error")
	require.Contains(t, log.String(), "api.(*Server).keys(")
}

func TestErrors_AStreamThatBreaksOffIsAnError(t *testing.T) {
	for _, body := range []string{"", `{"text":"begun"}`, `{"text":"begun"}` + "\n" + `{"te`, "<html>"} {
		c := api.InProcess(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body) // the client checks what arrived
		}))
		require.ErrorIs(t, c.DestroyApp(t.Context(), "hello", io.Discard), octo.ErrUnavailable, body)
	}
}

func TestErrors_HandlerThatAborts(t *testing.T) {
	c := api.InProcess(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"text":"begun"}`) // the client checks what arrived
		panic(http.ErrAbortHandler)
	}))
	require.ErrorIs(t, c.DestroyApp(t.Context(), "hello", io.Discard), octo.ErrUnavailable)
}

func TestErrors_SomethingElseAnswers(t *testing.T) {
	c := api.InProcess(http.NotFoundHandler())
	_, err := c.Apps(t.Context())
	require.EqualError(t, err, `the other side is not octohost: it answered "Not Found"`)
	require.NoError(t, octo.Kind(err))
}

func TestErrors_DialTellsItsOwn(t *testing.T) {
	told := octo.Errorf(octo.ErrDenied, "no key").WithHint("add one")
	c := api.NewClient(func(context.Context) (net.Conn, error) { return nil, told })
	_, err := c.Apps(t.Context())
	require.Equal(t, told, err)

	c = api.NewClient(func(context.Context) (net.Conn, error) { return nil, io.ErrUnexpectedEOF })
	_, err = c.Apps(t.Context())
	require.ErrorIs(t, err, octo.ErrUnavailable)
}

// Over SSH a connection is a program that has to log in: one must do.
func TestClient_UsesOneConnection(t *testing.T) {
	w := apitest.New()
	_, err := w.CreateApp(t.Context(), admin, "hello")
	require.NoError(t, err)
	w.Deploy("hello", "1111111", "alice")
	w.Deploy("hello", "2222222", "alice")
	path := filepath.Join(t.TempDir(), "octo.sock")
	serveLocal(t, w.Config(), path)
	dials := 0
	c := api.NewClient(func(ctx context.Context) (net.Conn, error) {
		dials++
		return api.DialLocal(path)(ctx)
	})
	defer c.Close()
	for range 3 {
		_, err = c.App(t.Context(), "hello")
		require.NoError(t, err)
		require.NoError(t, c.Rollback(t.Context(), "hello", 1, io.Discard))
		require.ErrorIs(t, c.Rollback(t.Context(), "hello", 99, io.Discard), octo.ErrNotFound)
	}
	require.Equal(t, 1, dials)
}

func TestVersion_OtherMajorIsRefusedWithAdvice(t *testing.T) {
	for client, refused := range map[string]bool{
		"v1.0.0": false, "1.9": false, "": false, "(devel)": false, "v0.0.0-20261122-abcdef": false, "v2.0.0": true, "0.9.0": true,
	} {
		c := inProcessDoor(t, apitest.New().Config(), admin)
		c.Version = client
		_, err := c.About(t.Context())
		if !refused {
			require.NoError(t, err, client)
			continue
		}
		require.ErrorIs(t, err, octo.ErrInvalid)
		require.ErrorContains(t, err, "install octo v1.2.3")
	}
}

func TestRequests_AreStrict(t *testing.T) {
	h := api.NewServer(apitest.New().Config()).Handler(admin)
	for body, says := range map[string]string{
		`{"name":"x","admin":true}`: "unknown field", `{"name":"x"} {}`: "follows", `{"name":1}`: "cannot be read",
		``: "cannot be read", `[]`: "cannot be read", `{"name":"Ünsinn"}`: "not a valid name",
		`{"name":"` + strings.Repeat("a", 70_000) + `"}`: "larger than 65536 bytes",
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/v1/apps", strings.NewReader(body)))
		require.Equal(t, http.StatusUnprocessableEntity, rec.Code, body)
		require.Contains(t, rec.Body.String(), says)
	}
	for _, path := range []string{
		"/v1/events?tail=-1", "/v1/events?tail=x", "/v1/events?tail=100001", "/v1/events?since=yesterday",
		"/v1/events?follow=perhaps", "/v1/events?what=1",
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusUnprocessableEntity, rec.Code, path)
	}
}

func TestRequests_UnknownOnesGetAdvice(t *testing.T) {
	h := api.NewServer(apitest.New().Config()).Handler(admin)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPut, "/v1/apps", bytes.NewReader(nil)), httptest.NewRequest(http.MethodGet, "/v2/apps", nil),
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		require.Equal(t, http.StatusNotFound, rec.Code)
		require.Contains(t, rec.Body.String(), "another version")
	}
	rec := httptest.NewRecorder()
	w := apitest.New()
	_, err := w.CreateApp(t.Context(), admin, "hello")
	require.NoError(t, err)
	api.NewServer(w.Config()).Handler(admin).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/apps/hello/releases/v3", nil))
	require.Equal(t, http.StatusUnprocessableEntity, rec.Code)
}
