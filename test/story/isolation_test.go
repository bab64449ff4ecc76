package story_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/require"
)

// dialFrom lets an app connect to an address, and returns "ok", or why it cannot.
func (w *world) dialFrom(app, address string) string {
	w.t.Helper()
	status, body := w.get(app+".localhost", "/dial?for=1500ms&addr="+url.QueryEscape(address))
	require.Equal(w.t, http.StatusOK, status, body)
	return strings.TrimSpace(body)
}

// fileOf returns a file as an app's container sees it.
func (w *world) fileOf(app, path string) (status int, text string) {
	w.t.Helper()
	return w.get(app+".localhost", "/file?path="+url.QueryEscape(path))
}

// inspect returns what the engine says of an app's only container.
func (w *world) inspect(app string) (c container.InspectResponse) {
	w.t.Helper()
	ids := w.containers(app)
	require.Len(w.t, ids, 1)
	w.inspectInto(&c, "container", ids[0])
	return c
}

// inspectInto decodes what the engine says of one object.
func (w *world) inspectInto(into any, kind, id string) {
	w.t.Helper()
	out := w.docker(kind, "inspect", id).ok()
	var list []json.RawMessage
	require.NoError(w.t, json.Unmarshal([]byte(out), &list))
	require.Len(w.t, list, 1)
	require.NoError(w.t, json.Unmarshal(list[0], into), "%s", list[0])
}

// netOf returns the name of an app's network, its address there, and the machine's.
func (w *world) netOf(app string) (name, address, gateway string) {
	w.t.Helper()
	nets := w.inspect(app).NetworkSettings.Networks
	require.Len(w.t, nets, 1, "one network, and no other")
	for name, n := range nets {
		return name, n.IPAddress.String(), n.Gateway.String()
	}
	return "", "", ""
}

// No app reaches another one's container, whether they share a bridge or not, nor
// anything of this machine that is not open to the world.
func TestIsolation_AppsReachNobody(t *testing.T) {
	w := newWorld(t)
	w.fleet("alpha", "beta")
	open := stillWorld(t) // another octohost, whose proxy listens on every address
	_, port, err := net.SplitHostPort(open.http)
	require.NoError(t, err)
	open.http = "0.0.0.0:" + port
	open.start()
	open.fleet("gamma")

	bridge, own, gateway := w.netOf("alpha")
	shared, beta, _ := w.netOf("beta")
	other, gamma, _ := open.netOf("gamma")
	require.Equal(t, bridge, shared, "alpha and beta share a bridge")
	require.NotEqual(t, bridge, other, "gamma is on another one")
	at := func(host string) string { return net.JoinHostPort(host, "5000") }
	for _, address := range []string{own, beta, gamma} { // so that the rest means something
		conn, err := net.Dial("tcp", at(address))
		require.NoError(t, err, "this machine reaches every container")
		require.NoError(t, conn.Close())
	}
	require.Equal(t, "ok", w.dialFrom("alpha", at(own)), "an app reaches itself")
	require.Equal(t, "ok", w.dialFrom("alpha", "127.0.0.1:5000"))

	for name, tries := range map[string][]string{
		"the app on the same bridge":   {at(beta)},
		"the app on another bridge":    {at(gamma)},
		"this octohost's proxy":        {w.http, "GATEWAY:" + portOf(t, w.http)},
		"this octohost's SSH door":     {w.ssh, "GATEWAY:" + portOf(t, w.ssh)},
		"what listens on loopback":     listenOnLoopback(t),
		"the engine, if it had a port": {"GATEWAY:2375", "GATEWAY:2376", "127.0.0.1:2375"},
	} {
		for _, address := range tries {
			address = strings.Replace(address, "GATEWAY", gateway, 1)
			require.NotEqual(t, "ok", w.dialFrom("alpha", address), "%s at %s", name, address)
		}
	}
	for _, address := range []string{at(own), at(beta)} {
		require.NotEqual(t, "ok", open.dialFrom("gamma", address))
	}
	for _, path := range []string{w.path("data/octo.sock"), w.path("data/hook.sock"), w.path("data/octo.db"), "/var/run/docker.sock", "/run/docker.sock"} {
		status, text := w.fileOf("alpha", path)
		require.Equal(t, http.StatusNotFound, status, "%s: %s", path, text)
	}
	require.Equal(t, "ok", w.dialFrom("alpha", net.JoinHostPort(gateway, port)), "a proxy that is open to the world is open to apps")
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

// listenOnLoopback opens a port for programs of this machine only, and returns the
// addresses at which a container could look for it.
func listenOnLoopback(t *testing.T) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	port := portOf(t, l.Addr().String())
	tries := []string{l.Addr().String(), "GATEWAY:" + port}
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil {
			tries = append(tries, net.JoinHostPort(ip.String(), port))
		}
	}
	return tries
}

// The limits are in force, as the process itself sees them.
func TestIsolation_LimitsAreInForce(t *testing.T) {
	w := newWorld(t)
	r := w.repo("small")
	r.write("octohost.toml", "[deploy]\nmemory = \"64MB\"\npids = 60\n")
	r.deploy("small")
	w.fleet("neighbour")

	_, status := w.fileOf("small", "/proc/self/status")
	// CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID NET_BIND_SERVICE: bits 0 1 3 5 6 7 10.
	const mask = "00000000000004eb"
	for _, line := range []string{"CapPrm:\t" + mask, "CapEff:\t" + mask, "CapBnd:\t" + mask, "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		require.Contains(t, status, line+"\n")
	}
	_, raw := w.get("small.localhost", "/raw")
	require.Contains(t, raw, "operation not permitted", "no forged packets")

	_, spawned := w.get("small.localhost", "/spawn?n=100")
	var n int
	_, err := fmt.Sscan(spawned, &n)
	require.NoError(t, err, spawned)
	require.Less(t, n, 60, "processes and threads together")
	require.Contains(t, spawned, "resource temporarily unavailable")
	status2, body := w.get("small.localhost", "/")
	require.Equal(t, http.StatusOK, status2, "it survives: %s", body)

	visitors := w.visit("neighbour.localhost", nil)
	before := w.inspect("small").State.StartedAt
	code, text := w.get("small.localhost", "/eat")
	require.NotEqual(t, "done", text, "status %d", code)
	w.eventually(20*time.Second, "it is started again by itself", func() bool {
		code, _ := w.get("small.localhost", "/")
		return code == http.StatusOK && w.inspect("small").State.StartedAt != before
	})
	require.Contains(t, w.octo("events").ok(), "64")
	require.Contains(t, w.octo("events").ok(), "memory")
	_, misses, lost := visitors.stop()
	require.Zero(t, misses, "the neighbour noticed: %s", strings.Join(lost, "\n"))
}

// What the engine was asked for is what an app must not exceed.
func TestIsolation_AsTheEngineSeesIt(t *testing.T) {
	w := newWorld(t)
	w.fleet("hello")
	c := w.inspect("hello")
	name, _, _ := w.netOf("hello")
	host := c.HostConfig
	require.False(t, host.Privileged)
	require.False(t, host.PublishAllPorts)
	require.Empty(t, host.PortBindings, "nothing is published")
	for port, bindings := range c.NetworkSettings.Ports {
		require.Empty(t, bindings, "nothing is published: %s", port)
	}
	require.Empty(t, c.Mounts)
	require.Empty(t, host.Binds)
	require.Empty(t, host.Devices)
	require.Empty(t, host.VolumesFrom)
	require.Empty(t, host.GroupAdd)
	require.Equal(t, []string{"ALL"}, []string(host.CapDrop))
	require.NotContains(t, host.CapAdd, "NET_RAW")
	require.NotContains(t, host.CapAdd, "SYS_ADMIN")
	require.Equal(t, []string{"no-new-privileges"}, host.SecurityOpt)
	require.Equal(t, name, string(host.NetworkMode))
	require.True(t, host.IpcMode.IsPrivate())
	require.False(t, host.PidMode.IsHost())
	require.False(t, host.UTSMode.IsHost())
	require.EqualValues(t, 512<<20, host.Memory)
	require.EqualValues(t, 512<<20, host.MemorySwap, "no swap")
	require.EqualValues(t, 512, *host.PidsLimit)
	require.Equal(t, "local", host.LogConfig.Type)
	require.Equal(t, map[string]string{"max-size": "10m", "max-file": "3"}, host.LogConfig.Config)
	require.True(t, host.RestartPolicy.IsNone(), "only octohost knows what is wanted")

	labels := c.Config.Labels
	for label, value := range map[string]string{"host": w.host(), "app": "hello", "release": "1", "process": "web", "instance": "hello.web.v1.1"} {
		require.Equal(t, value, labels["octohost."+label], label)
	}
	var i image.InspectResponse
	w.inspectInto(&i, "image", c.Image)
	require.Equal(t, w.host(), i.Config.Labels["octohost.host"])
	require.Equal(t, "hello", i.Config.Labels["octohost.app"])
	require.Len(t, i.Config.Labels["octohost.commit"], 40)
	var n network.Inspect
	w.inspectInto(&n, "network", name)
	require.Equal(t, w.host(), n.Labels["octohost.host"])
	require.Equal(t, "false", n.Options["com.docker.network.bridge.enable_icc"])
	require.False(t, n.EnableIPv6, "no second way around the rules")

	_, mounts := w.fileOf("hello", "/proc/mounts")
	socket := strings.TrimPrefix(w.engine, "unix://")
	require.NotContains(t, mounts, socket)
	hostname, err := os.Hostname()
	require.NoError(t, err)
	_, inside := w.fileOf("hello", "/proc/sys/kernel/hostname")
	require.NotEqual(t, hostname, strings.TrimSpace(inside))
}
