package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/docker"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
)

// testDockerfile is that of enginetest with a first layer that no other image has:
// the classic builder must not take what another test is just removing from its
// cache.
const testDockerfile = "FROM scratch\nLABEL test=%s\nCOPY testapp /testapp\nEXPOSE 5000\nCMD [\"/testapp\"]\n"

// openDocker returns the real engine and an image with a test app for it.
func openDocker(t testing.TB) (e *docker.Engine, image string) {
	t.Helper()
	e, err := docker.Open(enginetest.Docker(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	host := enginetest.Host()
	enginetest.Sweep(t, e, host)
	return e, enginetest.HelloImage(t, e, host, map[string]string{"Dockerfile": fmt.Sprintf(testDockerfile, host)})
}

// newDockerRig prepares a rig on the real engine, where each release of the app has
// its own environment. Everything is removed in the end.
func newDockerRig(t testing.TB, e *docker.Engine, image string, envs map[int][]string) *rig {
	t.Helper()
	host := enginetest.Host()
	enginetest.Sweep(t, e, host)
	r := newRigOn(t, e, host)
	r.image = image
	r.env = func(_ context.Context, rel octo.Release) ([]string, []engine.File, error) {
		return envs[rel.Number], nil, nil
	}
	return r
}

// eventually waits for something that a real engine takes its time for.
func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	require.Eventually(r.t, f, time.Minute, 5*time.Millisecond, what)
}

func (r *rig) healthy(id octo.InstanceID) func() bool {
	return func() bool { return r.instance(id).Phase == octo.PhaseHealthy }
}

// get asks an instance where Address says that it is.
func (r *rig) get(id octo.InstanceID, path string) string {
	r.t.Helper()
	address, ok := r.agent.Address(id)
	require.True(r.t, ok)
	resp, err := http.Get("http://" + address + path) //nolint:noctx // a test's own
	require.NoError(r.t, err)
	defer resp.Body.Close() //nolint:errcheck // only read from
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return strings.TrimSuffix(string(body), "\n")
}

// BenchmarkDocker_WantToHealthy compares the agent (from the write of want/<node> to a
// report that says healthy) with the floor: the engine's Start and the first good
// answer, asked for every millisecond.
func BenchmarkDocker_WantToHealthy(b *testing.B) {
	e, image := openDocker(b)
	r := newDockerRig(b, e, image, map[int][]string{1: {"VERSION=one"}})
	rel := r.release(1, octo.Live)
	r.run()
	<-r.agent.Ready()
	var floor, agent []time.Duration
	for n := 1; b.Loop(); n++ {
		r.want(web(1, n)) // also makes the network, the first time
		r.eventually("healthy", r.healthy(web(1, n).Instance))
		floor = append(floor, r.floor(&rel))
		began := time.Now()
		r.want(web(1, n), web(1, n+1))
		r.eventually("healthy", r.healthy(web(1, n+1).Instance))
		agent = append(agent, time.Since(began))
		r.want()
		r.eventually("gone", func() bool { return len(r.phases()) == 0 })
		n++
	}
	slices.Sort(floor)
	slices.Sort(agent)
	b.ReportMetric(float64(floor[len(floor)/2].Milliseconds()), "ms-floor")
	b.ReportMetric(float64(agent[len(agent)/2].Milliseconds()), "ms-agent")
}

// floor starts a container without the agent, as labelled as one of its own but for
// the instance, and returns how long it took until that answered.
func (r *rig) floor(rel *octo.Release) time.Duration {
	r.t.Helper()
	at := place{"octohost-" + shortHost(r.host) + "-1", netip.MustParseAddr(r.containers()[0].Address).Next().Next().Next()}
	spec := containerSpec(r.host, web(1, 1), rel, rel.Processes[0], nil, at)
	spec.Name = r.host + "-floor"
	delete(spec.Labels, engine.LabelInstance)
	began := time.Now()
	c, err := r.engine.Start(r.t.Context(), spec)
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool {
		return ask(r.t.Context(), target{kind: octo.CheckHTTP, address: c.Address + ":5000", host: "hello", path: "/"}, time.Second, time.Second).good()
	}, time.Minute, time.Millisecond)
	took := time.Since(began)
	require.NoError(r.t, r.engine.Remove(r.t.Context(), c.ID))
	return took
}

func TestDocker_LifeOfAnInstance(t *testing.T) {
	e, image := openDocker(t)
	r := newDockerRig(t, e, image, map[int][]string{1: {"VERSION=one"}, 2: {"VERSION=two"}})
	r.release(1, octo.Live)
	r.run()
	<-r.agent.Ready()
	first := web(1, 1).Instance
	began := time.Now()
	r.want(web(1, 1))
	r.eventually("healthy", r.healthy(first))
	t.Logf("wanted to healthy: %v", time.Since(began))
	require.Equal(t, "one", r.get(first, "/"))
	require.Contains(t, r.get(first, "/env"), "OCTOHOST_INSTANCE=hello.web.v1.1")
	before := r.container(first)

	// The daemon is restarted: the same container serves on.
	r.stop()
	r.run()
	<-r.agent.Ready()
	require.Equal(t, octo.PhaseHealthy, r.instance(first).Phase)
	require.Equal(t, "one", r.get(first, "/"))
	require.Equal(t, before, r.container(first))

	// Its program ends: it is started again, at the same address.
	_, _ = http.Get("http://" + r.instance(first).Address + "/exit?code=7") //nolint:noctx,bodyclose // it dies
	r.eventually("restarted", func() bool { return r.instance(first).Restarts == 1 && r.healthy(first)() })
	require.Equal(t, before.ID, r.container(first).ID)
	require.Equal(t, before.Address, r.container(first).Address)
	require.Equal(t, octo.FailedExit, r.instance(first).Failure.Kind)
	require.Contains(t, r.instance(first).Failure.Message, "code 7")

	// Somebody removes the container: there is another, elsewhere.
	require.NoError(t, r.engine.Remove(t.Context(), before.ID))
	r.eventually("made anew", func() bool {
		i := r.instance(first)
		return i.Phase == octo.PhaseHealthy && i.Container != before.ID
	})
	require.NotEqual(t, before.Address, r.container(first).Address)

	// The next release takes its place; requests in flight end before it is stopped.
	r.release(2, octo.Pending)
	r.want(web(1, 1), web(2, 1))
	second := web(2, 1).Instance
	r.eventually("second is healthy", r.healthy(second))
	during := make(chan []string, 2)
	r.proxy.during = func(octo.InstanceID) { during <- r.names() }
	r.want(draining(web(1, 1)), web(2, 1))
	require.Equal(t, []string{"hello.web.v1.1 running", "hello.web.v2.1 running"}, <-during, "drained before it is stopped")
	r.eventually("the first is gone", func() bool { return len(r.phases()) == 1 })
	require.Equal(t, "two", r.get(second, "/"))
	require.Equal(t, []string{"hello.web.v2.1 running"}, r.names())

	r.want()
	r.eventually("nothing is left", func() bool { return len(r.phases()) == 0 })
	require.Empty(t, r.containers())
}

func TestDocker_TellsFailuresApart(t *testing.T) {
	e, image := openDocker(t)
	wait := octo.Duration(1500 * time.Millisecond)
	for i, tc := range []struct {
		name    string
		env     []string
		change  func(*octo.Process)
		kind    octo.FailureKind
		message string
	}{
		{name: "ends at once", env: []string{"EXIT_CODE=3", "LOG=starting|!no database"}, kind: octo.FailedExit, message: `web exited with code 3 after \d\.\d s \(3 starts in a row ended\)`},
		{name: "eats memory", env: []string{"OOM=1"}, kind: octo.FailedOOM, message: `killed by the kernel after \d+\.\d s: it used more memory than its limit of 32 MB`, change: func(p *octo.Process) { p.Memory = 32 << 20 }},
		{name: "listens nowhere", env: []string{"LISTEN=none"}, kind: octo.FailedPort, message: `web listens on no port after 1\.\d s`},
		{name: "loopback only", env: []string{"LISTEN=127.0.0.1:5000"}, kind: octo.FailedLoopback, message: `web listens on port 5000 of 127.0.0.1 only`},
		{name: "another port", env: []string{"LISTEN=:8080"}, kind: octo.FailedWrong, message: `web listens on port 8080, but port 5000 is expected`},
		{name: "answers 503", env: []string{"STATUS=503"}, kind: octo.FailedCheck, message: `GET / still answered 503 after 1\.\d s`},
		{name: "no such command", change: func(p *octo.Process) { p.Command = []string{"/nothing"} }, message: `/nothing|code 127`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newDockerRig(t, e, image, map[int][]string{1: tc.env})
			r.release(1, octo.Pending, func(rel *octo.Release) {
				rel.Processes[0].Check.Deadline = wait
				if tc.change != nil {
					tc.change(&rel.Processes[0])
				}
			})
			r.run()
			r.want(web(1, 1))
			id := web(1, 1).Instance
			r.eventually("failed", func() bool { return r.instance(id).Phase == octo.PhaseFailed })
			f := r.instance(id).Failure
			t.Logf("%d: %+v", i, *f)
			require.Regexp(t, tc.message, f.Message)
			if tc.kind != "" {
				require.Equal(t, tc.kind, f.Kind)
			}
			if tc.kind == octo.FailedExit {
				require.ElementsMatch(t, []string{"starting", "no database"}, f.Logs, "of the last start only")
			}
			r.want()
			r.eventually("nothing is left", func() bool { return len(r.phases()) == 0 })
			require.Empty(t, r.containers())
		})
	}
}

func TestDocker_Notes(t *testing.T) {
	e, image := openDocker(t)
	r := newDockerRig(t, e, image, map[int][]string{1: {"REDIRECT_HTTPS=1"}, 2: {"STATUS=404"}})
	r.release(1, octo.Pending)
	r.release(2, octo.Pending)
	r.want(web(1, 1), web(2, 1))
	r.run()
	for n, note := range map[int]string{1: "GET / answered 301, a redirect to https: ", 2: "GET / answered 404: "} {
		id := web(n, 1).Instance
		r.eventually("healthy", r.healthy(id))
		require.Contains(t, r.instance(id).Note, note)
	}
}

func TestDocker_ManyAtOnce(t *testing.T) {
	const many = 8
	e, image := openDocker(t)
	r := newDockerRig(t, e, image, map[int][]string{1: {"VERSION=one"}})
	r.release(1, octo.Live)
	r.run()
	<-r.agent.Ready()
	var as []octo.Assignment
	for n := range many {
		as = append(as, web(1, n+1))
	}
	began := time.Now()
	r.want(as...)
	for _, a := range as {
		r.eventually(fmt.Sprint(a.Instance), r.healthy(a.Instance))
	}
	t.Logf("%d instances healthy after %v", many, time.Since(began))
	began = time.Now()
	r.want()
	r.eventually("gone", func() bool { return len(r.phases()) == 0 })
	t.Logf("%d instances gone after %v", many, time.Since(began))
	require.Empty(t, r.containers())
}
