package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestAccess_OneRecordPerRequest(t *testing.T) {
	r := start(t)
	r.site("app", hello("hello"))
	q := r.request("POST", "APP.test:80", "/path/a%20b?password=secret", strings.NewReader("body"))
	q.Header.Set("User-Agent", "test/1")
	res, _ := r.read(r.do(q))
	rec := r.log.await(t, 1)
	require.Equal(t, res.Header.Get(headerID), rec.ID)
	require.NoError(t, uuid.Validate(rec.ID))
	require.False(t, rec.Time.IsZero())
	require.Positive(t, rec.MS)
	require.Positive(t, rec.UpstreamMS)
	require.LessOrEqual(t, rec.UpstreamMS, rec.MS)
	require.NotEmpty(t, rec.Remote)
	require.Equal(t, logged{
		Time: rec.Time, ID: rec.ID, Host: "app.test", App: "app", Release: 1, Instance: "app.web.v1.1",
		Method: "POST", Path: "/path/a%20b", Status: 200, BytesIn: 4, BytesOut: 5,
		MS: rec.MS, UpstreamMS: rec.UpstreamMS, Remote: rec.Remote, Agent: "test/1",
	}, rec)
	require.NotContains(t, r.log.buf.String(), "secret")
}

// stuck is a writer that blocks until it is let go.
type stuck struct {
	lines
	entered, free chan bool
}

func (s *stuck) Write(p []byte) (int, error) {
	select {
	case s.entered <- true:
	default:
	}
	<-s.free
	return s.lines.Write(p)
}

func TestAccess_ASlowWriterCostsRecordsAndNotRequests(t *testing.T) {
	w := &stuck{entered: make(chan bool, 1), free: make(chan bool)}
	r := start(t, func(c *Config) { c.AccessLog, c.Limits.AccessBuffer = w, 2000 })
	r.site("app", hello("hello"))
	r.get("app.test", "/")
	<-w.entered
	for range 50 {
		res, _ := r.get("app.test", "/")
		require.Equal(t, 200, res.StatusCode)
	}
	dropped := r.Totals().Dropped
	require.Positive(t, dropped)
	close(w.free)
	r.stop()
	require.EqualValues(t, 51, dropped+int64(len(w.all(t))))
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAccess_AWriterThatFailsIsReported(t *testing.T) {
	own := new(lines)
	a := newAccessLog(&Config{AccessLog: failing{}}, slog.New(slog.NewTextHandler(own, nil)), 1)
	a.add(&record{}, 0)
	a.add(&record{}, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.run(ctx)
	require.Contains(t, own.buf.String(), "disk full")
	require.Contains(t, own.buf.String(), "records=1")
}

func TestAccess_WithoutAWriterNothingIsKept(t *testing.T) {
	a := newAccessLog(&Config{}, slog.New(slog.NewTextHandler(io.Discard, nil)), 1000)
	a.add(&record{}, 0)
	require.Empty(t, a.pending)
}

func TestAccess_ManyWritersOneLineEach(t *testing.T) {
	out := new(lines)
	a := newAccessLog(&Config{AccessLog: out}, slog.New(slog.NewTextHandler(io.Discard, nil)), 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	var running, writers sync.WaitGroup
	running.Go(func() { a.run(ctx) })
	for range 8 {
		writers.Go(func() {
			for range 200 {
				a.add(&record{Path: "/x"}, 0)
			}
		})
	}
	writers.Wait()
	cancel()
	running.Wait()
	require.Len(t, out.all(t), 1600)
}
