package story_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

// smallDisk gives the machine a disk of so many MiB, before its engine is started.
func (m *machine) smallDisk(size int) {
	m.t.Helper()
	file, at := m.path("disk.img"), m.path("disk")
	require.NoError(m.t, os.Mkdir(at, 0o755))            //nolint:gosec // the engine's programs read it
	require.NoError(m.t, os.WriteFile(file, nil, 0o600)) // with holes: it takes what is used
	require.NoError(m.t, os.Truncate(file, int64(size)<<20))
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-m", "0", file}, {"mount", "-o", "loop,discard", file, at}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil { //nolint:gosec // of the test
			m.t.Skipf("WHETHER A SMALL DISK FILLS UP WAS NOT TESTED: %v: %v: %s", args, err, out)
		}
	}
	m.disk = at
}

// free is how much room there is on the machine's disk, in MiB.
func (m *machine) free() int {
	m.t.Helper()
	var st syscall.Statfs_t
	require.NoError(m.t, syscall.Statfs(m.disk, &st))
	return int(st.Bavail * uint64(st.Bsize) >> 20) //nolint:gosec,unconvert // it is small; the types differ between systems
}

// usage says what takes the room on the machine's disk.
func (m *machine) usage(w *world) string {
	du, _ := exec.Command("du", "-xm", "--max-depth=3", m.disk).Output() // what it cannot read it leaves out
	return string(du) + w.docker("system", "df", "-v").out + w.docker("images", "-a").out
}

// deploys is how many deploys the story makes; OCTO_STORY_DEPLOYS says another number.
const deploys = 10

// Deploys of an app with large images, many times more than fit the disk, never fill it.
func TestDisk_DeploysNeverFillIt(t *testing.T) {
	t.Parallel()
	many, err := strconv.Atoi(cmp.Or(os.Getenv("OCTO_STORY_DEPLOYS"), strconv.Itoa(deploys)))
	require.NoError(t, err)
	for _, builder := range []string{"classic", "buildkit"} {
		t.Run(builder, func(t *testing.T) {
			const size, floor, image = 300, 60, 40 // too small for the images of the last 5 releases
			m := newDeadMachine(t)
			m.smallDisk(size)
			m.startEngine()
			w := m.world("OCTO_BUILDER="+builder, fmt.Sprintf("OCTO_DISK_FLOOR=%dMiB", floor))
			r := w.repo("large")
			r.write("Dockerfile", strings.Replace(hello(), "EXPOSE", fmt.Sprintf("RUN [\"/testapp\", \"fill\", \"/ballast\", \"%d\"]\nEXPOSE", image), 1))
			least, done := m.free(), 0
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("after %d deploys:\n%s", done, m.usage(w))
				}
			})
			for ; done < many; done++ {
				r.deploy(fmt.Sprintf("v%d", done+1))
				least = min(least, m.free())
			}
			require.Greater(t, many*image, size, "it was too few to fill the disk")
			t.Logf("%d deploys of %d MiB on a disk of %d MiB: never less than %d MiB free, now %d", many, image, size, least, m.free())
			require.Greater(t, least, 0)

			w.octo("rollback", "v1", "-a", "large").ok() // its image has gone long since
			status, body := w.get("large.localhost", "/")
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, "v1", strings.TrimSpace(body))
			var garbage []octo.Garbage
			w.json(&garbage, "gc", "--dry-run", "--all")
			require.NotEmpty(t, garbage)
			w.octo("gc", "--all").ok()
			require.Greater(t, m.free(), floor)
			status, _ = w.get("large.localhost", "/")
			require.Equal(t, http.StatusOK, status, "what runs is not garbage")
		})
	}
}
