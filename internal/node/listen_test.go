package node

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// As a kernel of 2022 on a little-endian machine printed it.
const (
	procTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 311234 1 0000000000000000 100 0 0 10 0                         
   1: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 311235 1 0000000000000000 100 0 0 10 0                         
   2: 0B00007F:8F3D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 311236 1 0000000000000000 100 0 0 10 0                         
   3: 0100007F:1388 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 311237 1 0000000000000000 20 4 30 10 -1                        
`
	procTCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 311238 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 311239 1 0000000000000000 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 311240 1 0000000000000000 100 0 0 10 0
`
)

func TestParseListeners(t *testing.T) {
	if !littleEndian() {
		t.Skip("the tables were printed by a little-endian machine")
	}
	got, err := parseListeners(strings.NewReader(procTCP))
	require.NoError(t, err)
	require.Equal(t, []netip.AddrPort{
		netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort("127.0.0.1:5000"),
	}, got, "neither the engine's own nor a connection")
	got, err = parseListeners(strings.NewReader(procTCP6))
	require.NoError(t, err)
	require.Equal(t, []netip.AddrPort{
		netip.MustParseAddrPort("[::]:8081"), netip.MustParseAddrPort("[::1]:8082"), netip.MustParseAddrPort("127.0.0.1:8083"),
	}, got)
}

func littleEndian() bool {
	s, err := parseSocket("0100007F:0050")
	return err == nil && s.Addr().IsLoopback()
}

func TestParseListeners_Garbage(t *testing.T) {
	for _, line := range []string{"0: xyz 0 0A", "0: 00:1 0 0A", "0: 00000000 0 0A", "0: 00000000:FFFFF 0 0A", "0: 00000000: 0 0A"} {
		_, err := parseListeners(strings.NewReader(line + "\n"))
		require.Error(t, err, line)
	}
	got, err := parseListeners(strings.NewReader("0: xyz 0 01\n\n\x00\n"))
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestListeners_OfThisProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.9.8.7:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // a test's own
	got, err := listeners("/proc", os.Getpid())
	require.NoError(t, err)
	require.Contains(t, got, l.Addr().(*net.TCPAddr).AddrPort())
}

func TestListeners_NotToBeRead(t *testing.T) {
	_, err := listeners("/proc", 0)
	require.Error(t, err)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "1", "net"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "1", "net", "tcp"), []byte(procTCP), 0o600))
	got, err := listeners(dir, 1)
	require.NoError(t, err, "there need not be an IPv6 table")
	require.Len(t, got, 2)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "1", "net", "tcp6"), []byte("0: zz:zz x 0A\n"), 0o600))
	_, err = listeners(dir, 1)
	require.Error(t, err)
}

func FuzzParseListeners(f *testing.F) {
	f.Add(procTCP)
	f.Add(procTCP6)
	f.Add("0: 0100007F:1388 0 0A")
	f.Fuzz(func(t *testing.T, table string) {
		got, err := parseListeners(strings.NewReader(table))
		if err == nil {
			for _, l := range got {
				require.True(t, l.IsValid())
				require.NotEqual(t, engineResolver, l.Addr().String())
			}
		}
	})
}
