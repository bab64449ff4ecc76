package enginetest

import (
	"cmp"
	"context"
	"net/netip"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// fakeContainer is guarded by the lock of its Fake.
type fakeContainer struct {
	engine.Container
	spec   engine.Spec
	subnet netip.Prefix
	log    *fakeLog
	memory int64

	signals chan os.Signal     // of this run
	cancel  context.CancelFunc // SIGKILL
	ended   chan struct{}      // closed when this run has ended
	forced  *int               // exit code of one that was killed

	removing bool         // it will not run again
	session  *fakeSession // of the first run, if somebody is attached
}

// kill ends the program; the container stops when it has returned.
func (c *fakeContainer) kill(code int) {
	if c.State == engine.StateRunning && c.forced == nil {
		c.forced = &code
		c.cancel()
	}
}

// Start creates and starts a container, as the real engine does.
func (f *Fake) Start(ctx context.Context, spec engine.Spec) (engine.Container, error) {
	return f.start(ctx, spec, nil)
}

func (f *Fake) start(ctx context.Context, spec engine.Spec, session *fakeSession) (engine.Container, error) {
	if err := f.delay(ctx, f.config.StartDelay); err != nil {
		return engine.Container{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.create(spec)
	if err != nil {
		return engine.Container{}, err
	}
	c.session = session
	if err := f.run(c); err != nil {
		return engine.Container{}, err
	}
	f.containers[c.ID] = c
	return copyOf(c.Container), nil
}

func (f *Fake) delay(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (f *Fake) create(spec engine.Spec) (*fakeContainer, error) {
	if err := f.up(); err != nil {
		return nil, err
	}
	image, ok := f.image(spec.Image)
	if !ok {
		return nil, octo.Errorf(octo.ErrNotFound, "start container %s: No such image: %s", spec.Name, spec.Image)
	}
	if len(spec.Command)+len(image.Command)+len(image.Entrypoint) == 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "the image of %s has no command to run", spec.Name)
	}
	for _, file := range spec.Files {
		if path.Clean(file.Path) != file.Path || !path.IsAbs(file.Path) {
			return nil, octo.Errorf(octo.ErrInvalid, "container %s: %q is not the path of a file", spec.Name, file.Path)
		}
	}
	for _, other := range f.containers {
		if other.Name == spec.Name {
			return nil, octo.Errorf(octo.ErrConflict, "start container %s: the name is in use", spec.Name)
		}
	}
	spec.Env = append(slices.Clone(image.Env), spec.Env...)
	c := &fakeContainer{spec: spec, log: newFakeLog(), memory: 8 << 20}
	c.ID, c.Name, c.Image, c.Labels = randomID(), spec.Name, image.ID, spec.Labels
	return c, f.place(c)
}

// place finds the container's network and its address there.
func (f *Fake) place(c *fakeContainer) error {
	if c.spec.Network == "" {
		return nil
	}
	n, ok := f.network(c.spec.Network)
	if !ok {
		return octo.Errorf(octo.ErrNotFound, "start container %s: network %s not found", c.Name, c.spec.Network)
	}
	c.subnet = netip.MustParsePrefix(n.Subnet)
	if c.spec.Address == "" {
		c.spec.Address = f.freeAddress(netip.MustParsePrefix(n.Reserved))
		return nil
	}
	ip, err := netip.ParseAddr(c.spec.Address)
	if err != nil || !c.subnet.Contains(ip) {
		return octo.Errorf(octo.ErrInvalid, "start container %s: %q is not an IP address of network %s", c.Name, c.spec.Address, c.spec.Network)
	}
	return nil
}

func (f *Fake) freeAddress(reserved netip.Prefix) string {
	for ip := reserved.Addr(); reserved.Contains(ip); ip = ip.Next() {
		if !f.addressTaken(ip.String()) {
			return ip.String()
		}
	}
	return reserved.Addr().String()
}

func (f *Fake) addressTaken(address string) bool {
	for _, c := range f.containers {
		if address != "" && c.Address == address {
			return true
		}
	}
	return false
}

// run starts the program of a container that does not run.
func (f *Fake) run(c *fakeContainer) error {
	if c.removing {
		return octo.Errorf(octo.ErrConflict, "start container %s: it is marked for removal", c.Name)
	}
	if f.config.StartError != nil {
		if err := f.config.StartError(c.spec); err != nil {
			return err
		}
	}
	if f.addressTaken(c.spec.Address) {
		return octo.Errorf(octo.ErrConflict, "start container %s: Address already in use", c.Name)
	}
	f.lastPID++
	c.State, c.PID, c.Address, c.Started = engine.StateRunning, f.lastPID, c.spec.Address, time.Now()
	c.ExitCode, c.OOMKilled, c.Finished, c.forced = 0, false, time.Time{}, nil
	c.signals, c.ended = make(chan os.Signal, 16), make(chan struct{})
	c.log.open()
	ctx, cancel := context.WithCancel(context.Background()) // containers outlive the call that started them
	c.cancel = cancel
	process, session := f.process(c), c.session
	c.session = nil
	f.running.Go(func() {
		session.ended(f.exited(c, session.program(f.config.Program)(ctx, process)))
	})
	f.tell(c, engine.EventStart)
	return nil
}

// exited notes that the program of a container has returned, and returns its exit
// code.
func (f *Fake) exited(c *fakeContainer, code int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.cancel()
	if c.forced != nil {
		code = *c.forced
	}
	c.State, c.ExitCode, c.PID, c.Address, c.Finished = engine.StateExited, code, 0, "", time.Now()
	if c.removing {
		c.State = engine.StateDead
	}
	c.log.close()
	f.tell(c, engine.EventDie)
	close(c.ended)
	return code
}

// Restart starts a stopped container again.
func (f *Fake) Restart(ctx context.Context, id string) (engine.Container, error) {
	if err := f.delay(ctx, f.config.StartDelay); err != nil {
		return engine.Container{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(id)
	if err == nil && c.State != engine.StateRunning {
		err = f.run(c)
	}
	if err != nil {
		return engine.Container{}, err
	}
	return copyOf(c.Container), nil
}

// Stop signals SIGTERM, waits for grace and kills.
func (f *Fake) Stop(ctx context.Context, id string, grace time.Duration) error {
	f.mu.Lock()
	c, err := f.find(id)
	if err != nil || c.State != engine.StateRunning {
		defer f.mu.Unlock()
		return notGone(err)
	}
	ended := c.ended
	select {
	case c.signals <- syscall.SIGTERM:
	default: // it has one that it has not looked at
	}
	f.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	f.mu.Lock()
	c.kill(137)
	f.mu.Unlock()
	<-ended
	return nil
}

// Remove kills and removes a container.
func (f *Fake) Remove(_ context.Context, id string) error {
	f.mu.Lock()
	c, err := f.find(id)
	if err != nil {
		defer f.mu.Unlock()
		return notGone(err)
	}
	c.removing = true
	c.kill(137)
	ended := c.ended
	f.mu.Unlock()
	<-ended
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.containers[c.ID] != nil {
		delete(f.containers, c.ID)
		f.tell(c, engine.EventGone)
	}
	return nil
}

// List returns the containers with these labels, oldest first.
func (f *Fake) List(_ context.Context, labels map[string]string) ([]engine.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return nil, err
	}
	var out []engine.Container
	for _, c := range f.containers {
		if hasLabels(c.Labels, labels) {
			out = append(out, copyOf(c.Container))
		}
	}
	slices.SortFunc(out, func(a, b engine.Container) int { return cmp.Compare(a.Started.UnixNano(), b.Started.UnixNano()) })
	return out, nil
}

// Inspect returns a container by id or name.
func (f *Fake) Inspect(_ context.Context, id string) (engine.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(id)
	if err != nil {
		return engine.Container{}, err
	}
	return copyOf(c.Container), nil
}

// Memory returns what SetMemory said of a running container.
func (f *Fake) Memory(_ context.Context, id string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(id)
	if err == nil && c.State != engine.StateRunning {
		err = octo.Errorf(octo.ErrConflict, "measure container: it does not run")
	}
	if err != nil {
		return 0, err
	}
	return c.memory, nil
}

// find returns a container by id or name. The caller holds the lock.
func (f *Fake) find(id string) (*fakeContainer, error) {
	if err := f.up(); err != nil {
		return nil, err
	}
	if c := f.containers[id]; c != nil {
		return c, nil
	}
	for _, c := range f.containers {
		if c.Name == id {
			return c, nil
		}
	}
	return nil, octo.Errorf(octo.ErrNotFound, "No such container: %s", id)
}

// notGone forgives what is not there.
func notGone(err error) error {
	if octo.Kind(err) == octo.ErrNotFound {
		return nil
	}
	return err
}
