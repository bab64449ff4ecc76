package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// yard is what a test against the real engine works in.
type yard struct {
	*testing.T
	*Engine
	host   string
	labels map[string]string
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{T: t, Engine: open(t), host: enginetest.Host()}
	y.labels = map[string]string{engine.LabelHost: y.host}
	t.Cleanup(func() { require.NoError(t, y.Close()) })
	enginetest.Sweep(t, y.Engine, y.host)
	return y
}

func (y *yard) network(name string) engine.Network {
	y.Helper()
	n, err := y.EnsureNetwork(y.Context(), engine.NetworkSpec{Name: y.host + "-" + name, Labels: y.labels, Pools: []string{pool}, SubnetBits: 24})
	require.NoError(y, err)
	return n
}

// run starts a container and waits until it serves.
func (y *yard) run(image, name string, n engine.Network, env ...string) engine.Container {
	y.Helper()
	c, err := y.Start(y.Context(), engine.Spec{
		Name: y.host + "-" + name, Image: image, Labels: y.labels, Network: n.Name, Env: env, Memory: 64 << 20, Pids: 24, CPU: 0.5,
	})
	require.NoError(y, err)
	y.get(c, "/health")
	return c
}

func (y *yard) get(c engine.Container, path string) string {
	y.Helper()
	return enginetest.Get(y, net.JoinHostPort(c.Address, "5000"), path)
}

func TestStart_IsolatesContainers(t *testing.T) {
	y := newYard(t)
	image := enginetest.HelloImage(t, y.Engine, y.host, nil)
	near, far := y.network("near"), y.network("far")
	a, b, c := y.run(image, "a", near), y.run(image, "b", near), y.run(image, "c", far)
	for _, pair := range [][2]engine.Container{{a, b}, {b, a}, {a, c}, {c, a}} {
		for _, port := range []string{"5000", "1"} {
			said := y.get(pair[0], "/dial?for=300ms&addr="+net.JoinHostPort(pair[1].Address, port))
			require.NotEqual(t, "ok", said)
			require.NotContains(t, said, "refused", "not even that there is a machine")
		}
	}
	for _, own := range []engine.Container{a, b, c} {
		require.Equal(t, "ok", y.get(own, "/dial?addr="+net.JoinHostPort(own.Address, "5000")))
		require.Equal(t, "ok", y.get(own, "/dial?addr=127.0.0.1:5000"))
	}
}

// A bridge carries IPv6 too, where the engine's rule would not apply: containers
// must not have link-local addresses.
func TestStart_LeavesNoIPv6(t *testing.T) {
	y := newYard(t)
	c := y.run(enginetest.HelloImage(t, y.Engine, y.host, nil), "a", y.network("net"))
	for line := range strings.Lines(y.get(c, "/file?path=/proc/net/if_inet6")) {
		require.Contains(t, line, " lo", "only the loopback interface may have an address")
	}
}

func TestStart_TakesRightsAway(t *testing.T) {
	y := newYard(t)
	c := y.run(enginetest.HelloImage(t, y.Engine, y.host, nil), "a", y.network("net"))
	status := map[string]string{}
	for line := range strings.Lines(y.get(c, "/file?path=/proc/self/status")) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	// CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10 (capability.h)
	want := uint64(1<<0 | 1<<1 | 1<<3 | 1<<5 | 1<<6 | 1<<7 | 1<<10)
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		got, err := strconv.ParseUint(status[set], 16, 64)
		require.NoError(t, err)
		require.Equal(t, want, got, "%s %x", set, got)
	}
	require.Equal(t, "1", status["NoNewPrivs"])
	require.Equal(t, "2", status["Seccomp"])
	require.Contains(t, y.get(c, "/raw"), "not permitted")

	inspected, err := y.client.ContainerInspect(t.Context(), c.ID, inspectOptions)
	require.NoError(t, err)
	host := inspected.Container.HostConfig
	require.False(t, host.Privileged)
	require.Empty(t, host.Binds)
	require.Empty(t, host.Mounts)
	require.Empty(t, host.PortBindings)
	require.Empty(t, inspected.Container.Mounts)
	require.Equal(t, "private", string(host.IpcMode))
	require.Equal(t, "local", host.LogConfig.Type)
	require.Equal(t, "no", string(host.RestartPolicy.Name))
	require.NotContains(t, y.get(c, "/file?path=/proc/self/mounts"), "docker.sock")
}

func TestStart_KeepsToLimits(t *testing.T) {
	y := newYard(t)
	c := y.run(enginetest.HelloImage(t, y.Engine, y.host, nil), "a", y.network("net"))
	started, _, _ := strings.Cut(y.get(c, "/spawn?n=40"), " ")
	n, err := strconv.Atoi(started)
	require.NoError(t, err)
	require.Less(t, n, 24, "pids")

	inspected, err := y.client.ContainerInspect(t.Context(), c.ID, inspectOptions)
	require.NoError(t, err)
	limits := inspected.Container.HostConfig.Resources
	require.Equal(t, int64(64<<20), limits.Memory)
	require.Equal(t, int64(64<<20), limits.MemorySwap)
	require.Equal(t, int64(5e8), limits.NanoCPUs)

	_, err = http10(t.Context(), c.Address, "/eat") // does not come back
	require.Error(t, err)
	require.Eventually(t, func() bool {
		now, err := y.Inspect(t.Context(), c.ID)
		require.NoError(t, err)
		return now.State == engine.StateExited && now.OOMKilled && now.ExitCode == 137
	}, 30*time.Second, 10*time.Millisecond)
}

// http10 makes a request of which the answer may never come.
func http10(ctx context.Context, address, path string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address, "5000"))
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // a test
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path); err != nil {
		return "", err
	}
	var all strings.Builder
	buffer := make([]byte, 1024)
	for {
		n, err := conn.Read(buffer)
		all.Write(buffer[:n])
		if strings.Contains(all.String(), "done") {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), fmt.Errorf("it ended: %w", err)
		}
	}
}

func TestStart_RemovesAnonymousVolumes(t *testing.T) {
	y := newYard(t)
	image := enginetest.HelloImage(t, y.Engine, y.host, map[string]string{"Dockerfile": enginetest.HelloDockerfile + "VOLUME /data\n"})
	c := y.run(image, "a", y.network("net"))
	inspected, err := y.client.ContainerInspect(t.Context(), c.ID, inspectOptions)
	require.NoError(t, err)
	require.Len(t, inspected.Container.Mounts, 1)
	volume := inspected.Container.Mounts[0].Name
	require.NoError(t, y.Remove(t.Context(), c.ID))
	_, err = y.client.VolumeInspect(t.Context(), volume, volumeOptions)
	require.True(t, gone(err), "%v", err)
}

func TestStart_InterruptedLeavesNothing(t *testing.T) {
	y := newYard(t)
	image := enginetest.HelloImage(t, y.Engine, y.host, nil)
	n := y.network("net")
	for _, after := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := y.Start(ctx, engine.Spec{Name: y.host + "-a", Image: image, Labels: y.labels, Network: n.Name})
		cancel()
		if err == nil {
			break // it was quicker than that
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Eventually(t, func() bool {
			all, err := y.List(t.Context(), y.labels)
			require.NoError(t, err)
			return len(all) == 0
		}, 10*time.Second, 10*time.Millisecond)
	}
}

func TestRemove_TwiceAtOnce(t *testing.T) {
	y := newYard(t)
	c := y.run(enginetest.HelloImage(t, y.Engine, y.host, nil), "a", y.network("net"))
	results := make(chan error, 4)
	for range cap(results) {
		go func() { results <- y.Remove(t.Context(), c.ID) }()
	}
	for range cap(results) {
		require.NoError(t, <-results)
	}
	_, err := y.Inspect(t.Context(), c.ID)
	require.ErrorIs(t, err, octo.ErrNotFound)
}

func TestEnsureNetwork_SkipsWhatTheEngineRefuses(t *testing.T) {
	y := newYard(t)
	first := y.network("a")
	require.Contains(t, machineSubnets(), netip.MustParsePrefix(first.Subnet), "the bridge is an interface of this machine")
	require.NoError(t, y.RemoveNetwork(t.Context(), first.ID))
}

func TestEnsureNetwork_OnceForAll(t *testing.T) {
	y := newYard(t)
	type answer struct {
		engine.Network
		error
	}
	answers := make(chan answer, 8)
	for range cap(answers) {
		go func() {
			n, err := y.EnsureNetwork(t.Context(), engine.NetworkSpec{Name: y.host, Labels: y.labels, Pools: []string{pool}, SubnetBits: 24})
			answers <- answer{n, err}
		}()
	}
	ids := map[string]bool{}
	for range cap(answers) {
		a := <-answers
		require.NoError(t, a.error)
		ids[a.ID] = true
	}
	require.Len(t, ids, 1)
}
