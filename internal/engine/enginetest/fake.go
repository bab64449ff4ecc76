package enginetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"sync"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// FakeConfig says how a Fake behaves. The zero value is an engine whose containers
// run Webapp.
type FakeConfig struct {
	// Program runs in each container: it returns the exit code, and must return soon
	// after its context has ended, which stands for SIGKILL. Nil means Webapp.
	Program func(context.Context, *FakeProcess) int
	// Exec is what programs inside of containers do. Nil means Webapp, which is told by
	// their command.
	Exec func(context.Context, *FakeProcess) int
	// StartError, if set, is asked before each start; its error is what Start and
	// Restart return.
	StartError func(engine.Spec) error
	// StartDelay is how long each start takes, BuildDelay each build.
	StartDelay, BuildDelay time.Duration
}

// Fake is a container engine in memory, which behaves: its containers run a
// program, print, end, are killed; and it can be lost and come back. It is safe for
// concurrent use.
type Fake struct {
	config  FakeConfig
	running sync.WaitGroup // programs

	mu         sync.Mutex
	cache      int64 // bytes of the build cache
	lost       bool
	lastPID    int
	containers map[string]*fakeContainer // by id
	networks   map[string]fakeNetwork    // by id
	images     map[string]engine.Image   // by id
	streams    map[*stream]struct{}
}

type fakeNetwork struct {
	engine.Network
	labels map[string]string
}

// NewFake returns an engine without containers, images and networks. Close it.
func NewFake(config FakeConfig) *Fake {
	if config.Program == nil {
		config.Program = Webapp
	}
	if config.Exec == nil {
		config.Exec = Webapp
	}
	return &Fake{
		config: config,
		// No process of a machine has such a number: the kernel's limit is 2^22.
		lastPID:    1 << 23,
		containers: map[string]*fakeContainer{}, networks: map[string]fakeNetwork{},
		images: map[string]engine.Image{}, streams: map[*stream]struct{}{},
	}
}

// Close kills all containers and waits until their programs have ended.
func (f *Fake) Close() error {
	f.mu.Lock()
	for _, c := range f.containers {
		c.kill(137)
	}
	f.mu.Unlock()
	f.running.Wait()
	return nil
}

// Info describes the fake; ErrUnavailable while it is lost.
func (f *Fake) Info(context.Context) (engine.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return engine.Info{}, err
	}
	return engine.Info{Version: "0.0.0-fake", APIVersion: "1.41", Root: "/nonexistent", Driver: "fake", Memory: 8 << 30, CPUs: 4}, nil
}

// Lose makes the engine unreachable until Return: every call fails, every stream
// of events breaks. With kill its containers end, as they do when a Docker Engine
// is restarted without live-restore; without, they go on.
func (f *Fake) Lose(kill bool) {
	f.mu.Lock()
	f.lost = true
	for s := range f.streams {
		s.breakOff()
	}
	var ended []<-chan struct{}
	for _, c := range f.containers {
		if kill && c.State == engine.StateRunning {
			c.kill(137)
			ended = append(ended, c.ended)
		}
	}
	f.mu.Unlock()
	for _, done := range ended {
		<-done
	}
}

// Return makes the engine reachable again.
func (f *Fake) Return() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = false
}

// Crash ends a running container with an exit code, as if its program had ended.
func (f *Fake) Crash(id string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[id]; c != nil {
		c.kill(code)
	}
}

// OutOfMemory kills a running container as the kernel does at its memory limit.
func (f *Fake) OutOfMemory(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[id]; c != nil && c.State == engine.StateRunning {
		c.OOMKilled = true
		f.tell(c, engine.EventOOM)
		c.kill(137)
	}
}

// SetMemory says what Memory returns of a container.
func (f *Fake) SetMemory(id string, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[id]; c != nil {
		c.memory = bytes
	}
}

// AddImage adds an image without building it and returns its id, which is made up
// where it is empty.
func (f *Fake) AddImage(image engine.Image) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if image.ID == "" {
		image.ID = "sha256:" + randomID()
	}
	f.putImage(image)
	return image.ID
}

// up returns an error while the engine is lost. The caller holds the lock.
func (f *Fake) up() error {
	if f.lost {
		return errLost()
	}
	return nil
}

func errLost() error {
	return octo.Errorf(octo.ErrUnavailable, "no Docker Engine answers at fake").WithHint("start it with: systemctl start docker")
}

func hasLabels(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func randomID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// copyOf returns a container that the engine does not change any more.
func copyOf(c engine.Container) engine.Container {
	c.Labels = maps.Clone(c.Labels)
	return c
}
