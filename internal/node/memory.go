package node

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/octo"
)

const (
	sampleEvery   = 15 * time.Second
	sampleTimeout = 10 * time.Second
	sampleWorkers = 2
)

// sampleMemory measures from time to time how much memory each instance uses. All
// figures of a round are reported at once.
func (l *loop) sampleMemory() {
	for l.ctx.Err() == nil {
		l.pause(sampleEvery)
		containers := make(chan map[octo.InstanceID]string, 1)
		l.post(func() { containers <- l.runningContainers() })
		select {
		case cs := <-containers:
			used := l.measure(cs)
			l.post(func() { l.measured(cs, used) })
		case <-l.ctx.Done():
		}
	}
}

func (l *loop) runningContainers() map[octo.InstanceID]string {
	cs := map[octo.InstanceID]string{}
	for id, in := range l.instances {
		if in.trusted && running(in.box) {
			cs[id] = in.box.ID
		}
	}
	return cs
}

// measure asks the engine about each container. What it does not tell is left out.
func (l *loop) measure(cs map[octo.InstanceID]string) map[octo.InstanceID]int64 {
	type sample struct {
		id   octo.InstanceID
		used int64
	}
	samples := make(chan sample, len(cs))
	var g errgroup.Group
	g.SetLimit(sampleWorkers)
	for id, container := range cs {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(l.ctx, sampleTimeout)
			defer cancel()
			used, err := l.cfg.Engine.Memory(ctx, container)
			if err == nil {
				samples <- sample{id, used}
			}
			return nil
		})
	}
	_ = g.Wait() // none of them returns an error
	close(samples)
	all := make(map[octo.InstanceID]int64, len(cs))
	for s := range samples {
		all[s.id] = s.used
	}
	return all
}

// measured takes over what was measured, unless the container is another by now.
func (l *loop) measured(cs map[octo.InstanceID]string, used map[octo.InstanceID]int64) {
	for id, n := range used {
		if in := l.instances[id]; in != nil && in.box != nil && in.box.ID == cs[id] {
			in.status.Memory = n
			l.publish(in)
		}
	}
}
