package ring_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/ring"
)

func open(t testing.TB, cfg ring.Config) *ring.Log {
	t.Helper()
	l, err := ring.Open(cfg)
	require.NoError(t, err)
	return l
}

// second is the nth second of a test's time.
func second(n int) time.Time { return time.Unix(1_795_000_000+int64(n), 0) }

func forward(t testing.TB, l *ring.Log, from ring.Position) (all []string, gaps int) {
	t.Helper()
	for r, err := range l.Forward(from) {
		require.NoError(t, err)
		all = append(all, string(r.Data))
		if r.Gap {
			gaps++
		}
	}
	return all, gaps
}

// backward reads everything from the end, and returns it the oldest first.
func backward(t testing.TB, l *ring.Log) (all []string, gaps int) {
	t.Helper()
	for r, err := range l.Backward(l.End()) {
		require.NoError(t, err)
		all = append(all, string(r.Data))
		if r.Gap {
			gaps++
		}
	}
	slices.Reverse(all)
	return all, gaps
}

// files returns the paths of a log's files, the oldest first.
func files(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.ring"))
	require.NoError(t, err)
	slices.Sort(paths)
	return paths
}

func TestLog_IsReadFromBothEnds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, ring.Config{Dir: dir, Max: 16 << 20})
	all, _ := forward(t, l, ring.Position{})
	require.Empty(t, all)
	require.NoDirExists(t, dir, "nothing is made for a log that has nothing")
	large := strings.Repeat("x", ring.MaxRecord)
	require.NoError(t, l.Append(second(1), []byte("one"), nil, []byte("two")))
	require.NoError(t, l.Append(second(2), []byte(large)))
	end := l.End()
	require.NoError(t, l.Append(second(1), []byte("three"))) // the clock was set back
	for range 2 {
		all, gaps := forward(t, l, ring.Position{})
		require.Equal(t, []string{"one", "", "two", large, "three"}, all)
		require.Zero(t, gaps)
		after, _ := forward(t, l, end)
		require.Equal(t, []string{"three"}, after)
		same, _ := backward(t, l)
		require.Equal(t, all, same)
		l = open(t, ring.Config{Dir: dir, Max: 16 << 20})
	}
	for r, err := range l.Backward(l.End()) {
		require.NoError(t, err)
		require.Equal(t, second(2).UTC(), r.Time, "times do not go back")
		break
	}
	require.ErrorIs(t, l.Append(second(3), []byte(large+"x")), octo.ErrInvalid)
}

// Whatever a crash leaves of the last file, all whole records are there afterwards, and
// so are those that come later.
func TestLog_CutAnywhereLosesOnlyWhatIsTorn(t *testing.T) {
	dir := t.TempDir()
	l := open(t, ring.Config{Dir: dir})
	records := []string{"first", "", strings.Repeat("long ", 40), "x", "last"}
	var ends []int64 // size of the file after each record
	for i, r := range records {
		require.NoError(t, l.Append(second(i), []byte(r)))
		ends = append(ends, l.Size())
	}
	paths := files(t, dir)
	require.Len(t, paths, 1)
	whole, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	for cut := range len(whole) {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(cut))
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(paths[0])), whole[:cut], 0o600))
		var want []string
		for i, end := range ends {
			if end <= int64(cut) {
				want = append(want, records[i])
			}
		}
		l := open(t, ring.Config{Dir: dir})
		got, _ := forward(t, l, ring.Position{})
		require.Equal(t, want, got, "cut at %d", cut)
		require.NoError(t, l.Append(second(9), []byte("later")))
		l = open(t, ring.Config{Dir: dir})
		got, gaps := forward(t, l, ring.Position{})
		require.Equal(t, append(want, "later"), got, "cut at %d", cut)
		require.Zero(t, gaps)
		same, _ := backward(t, l)
		require.Equal(t, got, same)
	}
}

// A damaged byte costs the record that it belongs to, and that there is a gap is told.
func TestLog_DamageCostsOneRecord(t *testing.T) {
	dir := t.TempDir()
	l := open(t, ring.Config{Dir: dir})
	records := []string{"first", "second, which is longer", "third", "last"}
	ends := []int64{16} // of the header, and then of each record
	for i, r := range records {
		require.NoError(t, l.Append(second(i), []byte(r)))
		ends = append(ends, l.Size())
	}
	path := files(t, dir)[0]
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := ends[0]; at < ends[3]; at++ { // the last one would be taken for torn
		broken := bytes.Clone(whole)
		broken[at] ^= 0x21
		require.NoError(t, os.WriteFile(path, broken, 0o600))
		hit, _ := slices.BinarySearch(ends, at+1)
		want := slices.Delete(slices.Clone(records), hit-1, hit)
		l := open(t, ring.Config{Dir: dir})
		got, gaps := forward(t, l, ring.Position{})
		require.Equal(t, want, got, "damaged at %d", at)
		require.Equal(t, 1, gaps)
		got, gaps = backward(t, l)
		require.Equal(t, want, got, "damaged at %d", at)
		require.LessOrEqual(t, gaps, 1)
	}
}

// A record cannot be made by those who only choose what is in records.
func TestLog_DataCannotPoseAsARecord(t *testing.T) {
	dir := t.TempDir()
	inner := open(t, ring.Config{Dir: filepath.Join(dir, "inner")})
	require.NoError(t, inner.Append(second(1), []byte("forged")))
	forged, err := os.ReadFile(files(t, filepath.Join(dir, "inner"))[0])
	require.NoError(t, err)
	l := open(t, ring.Config{Dir: dir})
	require.NoError(t, l.Append(second(1), forged))
	path := files(t, dir)[0]
	require.NoError(t, os.Truncate(path, l.Size()-1))
	l = open(t, ring.Config{Dir: dir})
	got, _ := forward(t, l, ring.Position{})
	require.Empty(t, got)
}

func TestLog_FilesOfOthersAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	l := open(t, ring.Config{Dir: dir})
	require.NoError(t, l.Append(second(1), []byte("ours")))
	for _, name := range []string{"README", "0000000000000001.ring.bak", "1.ring", "000000000000000X.ring"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o600))
	}
	l = open(t, ring.Config{Dir: dir})
	got, gaps := forward(t, l, ring.Position{})
	require.Equal(t, []string{"ours"}, got)
	require.Zero(t, gaps)
}

// Whatever is appended, a log is the newest part of it, as large as its bound allows,
// however it is read, also after it was opened again.
func TestLog_IsTheNewestPartOfWhatCame(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "log-*")
		require.NoError(t, err)
		const most = ring.MinMax
		cfg := ring.Config{Dir: dir, Max: most, Sync: rapid.IntRange(0, 9).Draw(rt, "sync") == 0}
		l := open(t, cfg)
		type entry struct {
			at   int
			text string
		}
		var all []entry
		clock, bytes := 0, 0
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			if rapid.IntRange(0, 9).Draw(rt, "reopen") == 0 {
				l = open(t, cfg)
			}
			clock += rapid.IntRange(0, 2).Draw(rt, "time")
			var batch [][]byte
			for range rapid.IntRange(1, 40).Draw(rt, "batch") {
				n := rapid.SampledFrom([]int{0, 1, 100, 500, 4000, 9000}).Draw(rt, "size")
				text := fmt.Sprintf("%d %s", len(all), strings.Repeat("x", n))
				all = append(all, entry{clock, text})
				batch = append(batch, []byte(text))
				bytes += len(text) + 20
			}
			require.NoError(t, l.Append(second(clock), batch...))
			require.LessOrEqual(t, l.Size(), int64(most))
		}
		got, gaps := forward(t, l, ring.Position{})
		require.Zero(t, gaps)
		require.NotEmpty(t, got)
		kept := all[len(all)-len(got):]
		size := 0
		for i, e := range kept {
			require.Equal(t, e.text, got[i])
			size += len(e.text) + 20
		}
		require.True(t, len(got) == len(all) || size > most/2, "%d of %d bytes kept", size, bytes)
		same, _ := backward(t, l)
		require.Equal(t, got, same)
		since := rapid.IntRange(0, clock+1).Draw(rt, "since")
		place, err := l.Seek(second(since))
		require.NoError(t, err)
		late, _ := forward(t, l, place)
		var want []string
		for _, e := range kept {
			if e.at >= since {
				want = append(want, e.text)
			}
		}
		require.Equal(t, want, late)
	})
}

func TestLog_DoesNotGrowWithoutRoom(t *testing.T) {
	full := false
	l := open(t, ring.Config{Dir: t.TempDir(), Max: 1 << 20, Full: func() bool { return full }})
	for range 300 {
		require.NoError(t, l.Append(second(0), make([]byte, 1000)))
	}
	full = true
	before := l.Size()
	for range 1000 {
		require.NoError(t, l.Append(second(0), make([]byte, 1000)))
		require.LessOrEqual(t, l.Size(), before+1<<20/8)
	}
	full = false
	for range 1000 {
		require.NoError(t, l.Append(second(0), make([]byte, 1000)))
	}
	require.Greater(t, l.Size(), int64(800_000))
}

func TestFollow_NothingIsLostOrDoubled(t *testing.T) {
	l := open(t, ring.Config{Dir: t.TempDir(), Max: 16 << 20})
	const writers, each = 4, 500
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers, appenders sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			seen := map[string]int{}
			total := 0
			for r, err := range l.Follow(ctx, ring.Position{}) {
				if err != nil || r.Gap {
					t.Errorf("gap %v, err %v", r.Gap, err)
					return
				}
				writer, _, _ := strings.Cut(string(r.Data), " ")
				if want := fmt.Sprintf("%s %d", writer, seen[writer]); want != string(r.Data) {
					t.Errorf("got %s, want %s", r.Data, want)
					return
				}
				seen[writer]++
				if total++; total == writers*each {
					return
				}
			}
			t.Error("ended early")
		})
	}
	for w := range writers {
		appenders.Go(func() {
			for i := range each {
				if err := l.Append(time.Now(), fmt.Appendf(nil, "%d %d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	appenders.Wait()
	readers.Wait()
}

func TestFollow_ASlowReaderIsToldOfTheGap(t *testing.T) {
	l := open(t, ring.Config{Dir: t.TempDir()})
	require.NoError(t, l.Append(second(0), []byte("first")))
	gaps, last := 0, ""
	for r, err := range l.Follow(t.Context(), ring.Position{}) {
		require.NoError(t, err)
		if string(r.Data) == "first" { // and now this reader sleeps for a long time
			for i := range 1000 {
				require.NoError(t, l.Append(second(i), fmt.Appendf(nil, "%d %0500d", i, 0)))
			}
			require.NoError(t, l.Append(second(1000), []byte("end")))
		}
		if r.Gap {
			gaps++
		}
		if last = string(r.Data); last == "end" {
			break
		}
	}
	require.Equal(t, 1, gaps)
}

func TestFollow_EndsWithItsContextAndWithTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, ring.Config{Dir: dir})
	require.NoError(t, l.Append(second(0), []byte("x")))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range l.Follow(ctx, ring.Position{}) {
		require.NoError(t, err)
		cancel()
	}
	var last error
	for _, err := range l.Follow(t.Context(), ring.Position{}) {
		if last = err; err == nil {
			require.NoError(t, l.Remove())
		}
	}
	require.ErrorIs(t, last, ring.ErrRemoved)
	require.NoDirExists(t, dir)
	require.ErrorIs(t, l.Append(second(0), nil), ring.ErrRemoved)
	got, _ := forward(t, l, ring.Position{})
	require.Empty(t, got)
	fresh := open(t, ring.Config{Dir: dir})
	got, _ = forward(t, fresh, ring.Position{})
	require.Empty(t, got)
}

func TestAppend_GoesOnWhenSomebodyRemovedTheFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, ring.Config{Dir: dir})
	require.NoError(t, l.Append(second(0), []byte("x")))
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, l.Append(second(1), []byte("lost")))
	require.NoError(t, l.Append(second(2), []byte("kept")))
	got, _ := forward(t, l, ring.Position{})
	require.Equal(t, []string{"kept"}, got)
}

// FuzzOpen opens whatever somebody, or a disk, has put in the place of a file.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	l := open(f, ring.Config{Dir: dir})
	require.NoError(f, l.Append(second(1), []byte("one"), []byte("two")))
	whole, err := os.ReadFile(files(f, dir)[0])
	require.NoError(f, err)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte("octring1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "0000000000000007.ring"), content, 0o600))
		l := open(t, ring.Config{Dir: dir})
		before, _ := forward(t, l, ring.Position{})
		same, _ := backward(t, l)
		require.ElementsMatch(t, before, same)
		require.NoError(t, l.Append(second(1), []byte("later")))
		after, _ := forward(t, open(t, ring.Config{Dir: dir}), ring.Position{})
		require.Equal(t, append(before, "later"), after)
	})
}
