package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/octohost/octohost/internal/octo"
)

// heir is the variable that makes TestInherit_Heir the heir of a parent.
const heir = "OCTO_TEST_HEIR"

// TestInherit_Heir is what runs in the process that inherits.
func TestInherit_Heir(t *testing.T) {
	if os.Getenv(heir) == "" {
		t.Skip("it is for TestInherit only")
	}
	given, err := inherit(os.Getenv, os.Getpid())
	fmt.Println("error:", err)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		fmt.Println(name, "at", given[name].Addr())
	}
	fmt.Println("handed on:", handedOn())
	require.NoError(t, given.close())
}

// handedOn counts the sockets that programs would get which this process starts.
func handedOn() (n int) {
	for fd := firstInherited; fd < 20; fd++ {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 && unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			n++
		}
	}
	return n
}

// bequeath starts a process that inherits files, and returns what it says.
func bequeath(t *testing.T, files []*os.File, env ...string) string {
	t.Helper()
	// The number of a process is known to itself only, before it has begun.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=${LISTEN_PID:-$$} exec "$0" "$@"`, os.Args[0], "-test.run=^TestInherit_Heir$", "-test.v")
	cmd.ExtraFiles = files
	cmd.Env = append(append(os.Environ(), heir+"=1", "GORACE=atexit_sleep_ms=0"), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestInherit(t *testing.T) {
	var files []*os.File
	var at []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		file, err := l.(*net.TCPListener).File()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, file.Close()) })
		files, at = append(files, file), append(at, l.Addr().String())
	}
	regular, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, regular.Close()) })

	for name, c := range map[string]struct {
		files     []*os.File
		env, want []string
	}{
		"both doors":       {files, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=http:ssh"}, []string{"error: <nil>", "http at " + at[0], "ssh at " + at[1]}},
		"one door":         {files[:1], []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=ssh"}, []string{"error: <nil>", "ssh at " + at[0]}},
		"nothing":          {nil, []string{"LISTEN_FDS=0"}, []string{"error: <nil>"}},
		"a name unknown":   {files[:1], []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=octohost.socket"}, []string{`a socket "octohost.socket" at ` + at[0], "FileDescriptorName=http"}},
		"no name":          {files[:1], []string{"LISTEN_FDS=1"}, []string{`a socket "" at `}},
		"a name twice":     {files, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=http:http"}, []string{`a socket "http" at ` + at[1]}},
		"not a socket":     {[]*os.File{regular}, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=http"}, []string{`the socket "http" that octo was given cannot be listened on`}},
		"fewer than said":  {files[:1], []string{"LISTEN_FDS=9", "LISTEN_FDNAMES=http"}, []string{"error: ", "cannot be listened on"}},
		"not a number":     {files[:1], []string{"LISTEN_FDS=many"}, []string{`LISTEN_FDS is "many"`}},
		"too many":         {files[:1], []string{"LISTEN_FDS=1000000"}, []string{`LISTEN_FDS is "1000000"`}},
		"for another":      {files, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=http:ssh", "LISTEN_PID=1"}, []string{"error: <nil>\nhanded on: 2"}},
		"less than a file": {files, []string{"LISTEN_FDS=-1"}, []string{`LISTEN_FDS is "-1"`}},
	} {
		t.Run(name, func(t *testing.T) {
			out := bequeath(t, c.files, c.env...)
			for _, want := range c.want {
				require.Contains(t, out, want)
			}
			if strings.Contains(out, "error: <nil>") && name != "for another" {
				require.Contains(t, out, "handed on: 0", "it is not for the programs that octo starts")
			}
		})
	}
}

func TestInherit_IsUsedAndClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &Daemon{given: inherited{"http": l}}
	got, err := d.listen("http", "203.0.113.1:80")
	require.NoError(t, err)
	require.Equal(t, l, got)
	require.NoError(t, d.given.close())
	require.NoError(t, d.given.close(), "those in use are closed by who uses them")
	_, err = got.Accept()
	require.True(t, errors.Is(err, net.ErrClosed))
}

func TestInherit_TheDoctorTellsOfASettingThatIsNotUsed(t *testing.T) {
	p := &patient{running: true, overruled: map[string]string{"http": ":8080"}}
	f := checkPort(t.Context(), p, "http", "[::]:80")
	require.Equal(t, octo.FindingWarning, f.Level)
	require.Contains(t, f.Message, "listening on [::]:80")
	require.Contains(t, f.Message, ":8080")
	require.Contains(t, f.Remedy, "octohost.socket")
}
