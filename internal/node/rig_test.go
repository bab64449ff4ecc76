package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/engine/enginetest"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
	"github.com/octohost/octohost/internal/store/bolt"
)

const (
	testHost = "0123456789abcdef"
	testNode = "one"
)

// rig is an agent with everything around it.
type rig struct {
	t      testing.TB
	host   string
	fake   *enginetest.Fake // nil with a real engine
	engine Engine
	store  store.Store
	proxy  *testProxy
	image  string
	pools  []string
	blind  bool // every address answers well, without a look at who is there
	env    func(context.Context, octo.Release) ([]string, []engine.File, error)

	mu     sync.Mutex
	events []octo.Event
	behave func(engine.Container) answer // how containers answer; nil means well

	agent  *Agent
	cancel context.CancelFunc
	done   chan error
}

// newRig prepares a rig on a fake engine. Start the agent with run.
func newRig(t testing.TB, cfg enginetest.FakeConfig) *rig {
	t.Helper()
	if cfg.Program == nil {
		cfg.Program = enginetest.Idle
	}
	fake := enginetest.NewFake(cfg)
	t.Cleanup(func() { require.NoError(t, fake.Close()) })
	r := newRigOn(t, fake, testHost)
	r.fake = fake
	r.image = fake.AddImage(engine.Image{Command: []string{"/app"}})
	return r
}

// newRigOn prepares a rig on any engine.
func newRigOn(t testing.TB, e Engine, host string) *rig {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "octo.db"))
	require.NoError(t, err)
	r := &rig{
		t: t, host: host, engine: e, store: s, proxy: &testProxy{gone: map[octo.InstanceID]int{}},
		pools: []string{"10.213.0.0/16"},
	}
	t.Cleanup(func() {
		r.stop()
		require.NoError(t, s.Close())
	})
	return r
}

// run starts an agent, as a start of the daemon does.
func (r *rig) run() {
	r.t.Helper()
	a, err := New(Config{
		Name: testNode, Host: r.host, Engine: r.engine, Store: r.store, Proxy: r.proxy, Pools: r.pools,
		Env: r.env, Record: r.record, Log: slog.New(slog.DiscardHandler), Facts: octo.Node{Name: testNode, Version: "test"},
	})
	require.NoError(r.t, err)
	if r.fake != nil {
		a.checks.ask, a.checks.knock = r.ask, r.knock
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.agent, r.cancel, r.done = a, cancel, make(chan error, 1)
	go func() { r.done <- a.Run(ctx) }()
}

// stop ends the agent, as a stop of the daemon does.
func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	require.NoError(r.t, <-r.done)
	r.cancel = nil
}

func (r *rig) record(e octo.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *rig) told() []octo.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *rig) recorded() []octo.EventKind {
	var kinds []octo.EventKind
	for _, e := range r.told() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (r *rig) setBehaviour(f func(engine.Container) answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behave = f
}

func (r *rig) ask(_ context.Context, t target, _, _ time.Duration) answer {
	return r.answerAt(t.address)
}

func (r *rig) knock(_ context.Context, address string, _ time.Duration) bool {
	return r.answerAt(address).seen.connected()
}

// answerAt answers for the container that has an address now.
func (r *rig) answerAt(address string) answer {
	if r.blind {
		return answer{seen: seenAnswer, status: 200}
	}
	r.mu.Lock()
	behave := r.behave
	r.mu.Unlock()
	for _, c := range r.containers() {
		if running(&c) && c.Address+":5000" == address {
			if behave != nil {
				return behave(c)
			}
			return answer{seen: seenAnswer, status: 200}
		}
	}
	return answer{seen: seenUnreachable}
}

// containers are all that the engine has of this octohost; none while it is lost.
func (r *rig) containers() []engine.Container {
	list := r.engine.List
	if r.fake != nil {
		list = r.fake.List // what is true, not what the agent is told
	}
	cs, err := list(context.Background(), map[string]string{engine.LabelHost: r.host})
	if err != nil {
		return nil
	}
	return cs
}

// container is the only container of an instance.
func (r *rig) container(id octo.InstanceID) engine.Container {
	r.t.Helper()
	var found []engine.Container
	for _, c := range r.containers() {
		if c.Labels[engine.LabelInstance] == string(id) {
			found = append(found, c)
		}
	}
	require.Len(r.t, found, 1, "containers of %s", id)
	return found[0]
}

// release writes a release of the app hello with a web process.
func (r *rig) release(n int, outcome octo.Outcome, change ...func(*octo.Release)) octo.Release {
	r.t.Helper()
	rel := octo.Release{
		App: "hello", Number: n, Image: r.image, Created: time.Unix(int64(n), 0).UTC(), Outcome: outcome,
		Processes: []octo.Process{octo.NewProcess(octo.Web, 5000), octo.NewProcess("worker", 0)},
	}
	for _, f := range change {
		f(&rel)
	}
	r.writeRelease(rel)
	return rel
}

func (r *rig) writeRelease(rel octo.Release) {
	r.t.Helper()
	docs := store.Docs[octo.Release]{Store: r.store, Prefix: store.ReleasesPrefix}
	_, err := docs.Replace(context.Background(), store.ReleaseName(rel.App, rel.Number), rel, store.Any)
	require.NoError(r.t, err)
}

// want tells the node what it should run.
func (r *rig) want(as ...octo.Assignment) { r.wantOf(testNode, as...) }

func (r *rig) wantOf(node string, as ...octo.Assignment) {
	r.t.Helper()
	docs := store.Docs[[]octo.Assignment]{Store: r.store, Prefix: store.WantPrefix}
	_, err := docs.Replace(context.Background(), node, as, store.Any)
	require.NoError(r.t, err)
}

// web is the nth web instance of a release of hello.
func web(release, n int) octo.Assignment { return process(octo.Web, release, n) }

func process(p octo.Name, release, n int) octo.Assignment {
	return octo.Assignment{Instance: octo.NewInstanceID("hello", p, release, n), App: "hello", Release: release, Process: p}
}

func draining(a octo.Assignment) octo.Assignment {
	a.Drain = true
	return a
}

// have is what the node reports, or false when it reports nothing.
func (r *rig) have() ([]octo.Instance, bool) {
	r.t.Helper()
	e, err := r.store.Get(context.Background(), store.HavePrefix+testNode)
	if errors.Is(err, octo.ErrNotFound) {
		return nil, false
	}
	require.NoError(r.t, err)
	var list []octo.Instance
	require.NoError(r.t, json.Unmarshal(e.Value, &list))
	return list, true
}

// instance is what the node reports of one; the zero value if nothing.
func (r *rig) instance(id octo.InstanceID) octo.Instance {
	r.t.Helper()
	list, _ := r.have()
	for _, i := range list {
		if i.ID == id {
			return i
		}
	}
	return octo.Instance{Phase: octo.PhaseGone}
}

// phases is what the node reports in short: "hello.web.v1.1 healthy".
func (r *rig) phases() []string {
	r.t.Helper()
	list, _ := r.have()
	out := []string{}
	for _, i := range list {
		out = append(out, fmt.Sprintf("%s %s", i.ID, i.Phase))
	}
	return out
}

// inBubble runs a test in a bubble of its own time, which goes on only when nothing
// is left to be done.
func inBubble(t *testing.T, cfg enginetest.FakeConfig, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newRig(t, cfg)) })
}

// after lets the time of a bubble go on, and then everything that follows happen.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// testProxy counts what the agent asks of a proxy.
type testProxy struct {
	mu     sync.Mutex
	drains []octo.InstanceID
	gone   map[octo.InstanceID]int
	block  time.Duration // how long requests in flight take
	during func(octo.InstanceID)
}

func (p *testProxy) Drain(ctx context.Context, id octo.InstanceID) (int, error) {
	p.mu.Lock()
	p.drains = append(p.drains, id)
	block, during := p.block, p.during
	p.mu.Unlock()
	if during != nil {
		during(id)
	}
	select {
	case <-time.After(block):
		return 0, nil
	case <-ctx.Done():
		return 1, ctx.Err()
	}
}

func (p *testProxy) Forget(id octo.InstanceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone[id]++
}

func (p *testProxy) drained() []octo.InstanceID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.drains))
}

// names are the instances that have containers, sorted.
func (r *rig) names() []string {
	out := []string{}
	for _, c := range r.containers() {
		out = append(out, c.Labels[engine.LabelInstance]+" "+string(c.State))
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}
