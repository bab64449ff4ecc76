package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

// crashVariable tells this test binary, run again, to be the process that is
// killed: it names the store's file.
const crashVariable = "OCTO_TEST_CRASH_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashVariable); path != "" {
		fmt.Fprintln(os.Stderr, writeForever(path, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashKeys is how many keys are written at once, each by one goroutine.
const crashKeys = 8

// crashStep is what the nth change of a key does: mostly a write, sometimes of a
// large value, sometimes a removal.
func crashStep(n int) (value string, remove bool) {
	switch {
	case n%7 == 0:
		return "", true
	case n%5 == 0:
		return fmt.Sprintf("%d ", n) + strings.Repeat("large", 8000), false
	}
	return fmt.Sprintf("%d ", n), false
}

// writeForever changes every key step by step, from where the store's own content
// says that it had come, and prints a line before and after each step.
func writeForever(path string, out io.Writer) error {
	s, err := bolt.Open(path)
	if err != nil {
		return err
	}
	l, err := s.Lease(context.Background(), time.Minute)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(out, format+"\n", args...) // the reader is the one who kills us
	}
	var wg sync.WaitGroup
	errs := make([]error, crashKeys)
	for k := range crashKeys {
		wg.Go(func() { errs[k] = writeKey(s, l, k, say) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func writeKey(s *bolt.Store, l store.Lease, k int, say func(string, ...any)) error {
	ctx, key, counter := context.Background(), fmt.Sprintf("key/%d", k), fmt.Sprintf("count/%d", k)
	n, err := readCounter(s, k)
	if err != nil {
		return err
	}
	for {
		n++
		if _, err := s.Put(ctx, counter, fmt.Appendf(nil, "%d", n), store.Any); err != nil {
			return err
		}
		say("begin %d %d 0", k, n)
		version, err := store.Version(0), error(nil)
		if value, remove := crashStep(n); remove {
			err = s.Delete(ctx, key, store.Any)
		} else {
			version, err = s.Put(ctx, key, []byte(value), store.Any)
		}
		if err != nil {
			return err
		}
		say("done %d %d %d", k, n, version)
		if err := l.Hold(ctx, fmt.Sprintf("leased/%d", k), nil); err != nil {
			return err
		}
		e, err := s.Get(ctx, fmt.Sprintf("leased/%d", k))
		if err != nil {
			return err
		}
		say("held %d %d %d", k, n, e.Version)
	}
}

// history is what the killed processes have said.
type history struct {
	begun, done [crashKeys]int // the last step of each key
	version     [crashKeys]store.Version
	highest     store.Version
}

func (h *history) read(t *testing.T, line string) {
	var what string
	var k, n int
	var version store.Version
	if _, err := fmt.Sscan(line, &what, &k, &n, &version); err != nil {
		require.FailNow(t, "the writer says", line)
	}
	h.highest = max(h.highest, version)
	switch what {
	case "begin":
		require.Greater(t, n, h.begun[k], "the counter of key %d went back", k)
		h.begun[k] = n
	case "done":
		h.done[k], h.version[k] = n, version
	}
}

func TestPut_AcknowledgedWritesSurviveKill(t *testing.T) {
	path, seed := filepath.Join(t.TempDir(), "octo.db"), rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	long := 3 * time.Second
	if testing.Short() {
		long = time.Second / 2
	}
	h := &history{}
	rounds := 0
	for end := time.Now().Add(long); time.Now().Before(end); rounds++ {
		h.crash(t, path, random.IntN(400))
		h.check(t, path)
	}
	t.Logf("%d processes killed, %v acknowledged changes of each key", rounds, h.done)
}

// crash runs a writer and kills it after some lines, at whatever it does then.
func (h *history) crash(t *testing.T, path string, lines int) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashVariable+"="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := bufio.NewReader(out)
	for i := 0; ; i++ {
		if i == lines {
			require.NoError(t, cmd.Process.Kill())
		}
		line, err := said.ReadString('\n')
		if err != nil { // a line that is cut off says nothing
			break
		}
		h.read(t, line)
	}
	err = cmd.Wait()
	require.ErrorContains(t, err, "killed", "%s", stderr.String())
}

// check opens the store and compares it with what was acknowledged. A change that
// was begun but not acknowledged may have happened, or not.
func (h *history) check(t *testing.T, path string) {
	ctx, s := context.Background(), open(t, path)
	defer func() { require.NoError(t, s.Close()) }()
	for k := range crashKeys {
		h.checkKey(t, s, k)
	}
	entries, err := s.List(ctx, "leased/")
	require.NoError(t, err)
	require.Empty(t, entries)
	v, err := s.Put(ctx, "probe", nil, store.Any)
	require.NoError(t, err)
	require.Greater(t, v, h.highest, "a version could come back")
	h.highest = v
}

func (h *history) checkKey(t *testing.T, s *bolt.Store, k int) {
	counter, err := readCounter(s, k)
	require.NoError(t, err)
	require.GreaterOrEqual(t, counter, h.begun[k], "the counter of key %d went back", k)
	e, err := s.Get(context.Background(), fmt.Sprintf("key/%d", k))
	if err != nil {
		require.ErrorIs(t, err, octo.ErrNotFound)
	}
	n := h.done[k]
	if isStep(e, n) {
		require.Equal(t, h.version[k], e.Version, "key %d, step %d", k, n)
		return
	}
	for ; n <= counter && !isStep(e, n); n++ {
	}
	require.LessOrEqual(t, n, counter, "key %d is %.20q with version %d, but step %d was acknowledged with version %d, and %d begun",
		k, e.Value, e.Version, h.done[k], h.version[k], counter)
	h.begun[k], h.done[k], h.version[k] = counter, n, e.Version // it must not go back from here
}

// readCounter returns which step of a key was begun last.
func readCounter(s *bolt.Store, k int) (n int, err error) {
	e, err := s.Get(context.Background(), fmt.Sprintf("count/%d", k))
	if errors.Is(err, octo.ErrNotFound) {
		return 0, nil
	}
	if err == nil {
		n, err = strconv.Atoi(string(e.Value))
	}
	return n, err
}

// isStep reports whether e is what the nth step leaves behind; none does, for n = 0.
func isStep(e store.Entry, n int) bool {
	value, remove := crashStep(n)
	if remove {
		return e.Version == store.Absent
	}
	return e.Version != store.Absent && string(e.Value) == value
}
