package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// command is something that people do with an app.
type command struct {
	name, figure string
	// args returns the command line, and what the first answer contains that it brings.
	args func(round int) (args []string, brings string)
	undo []string // afterwards, without being measured
}

func (b *bench) commands() []command {
	return []command{
		{"octo ps:scale web=+1", "scale", func(int) ([]string, string) {
			return []string{"ps:scale", "web=+1"}, "hello.web." + octo.Version(b.next()) + ".2"
		}, []string{"ps:scale", "web=1"}},
		{"octo ps:restart", "restart", func(int) ([]string, string) {
			return []string{"ps:restart"}, "hello.web." + octo.Version(b.next()) + "."
		}, nil},
		{"octo config:set", "config", func(int) ([]string, string) {
			greeting := rand.Text()
			return []string{"config:set", "GREETING=" + greeting}, greeting
		}, nil},
		{"octo rollback", "rollback", func(int) ([]string, string) {
			return []string{"rollback"}, "hello.web." + octo.Version(b.next()) + "."
		}, nil},
	}
}

// next is the number of the next release.
func (b *bench) next() int {
	app, err := b.client.App(context.Background(), "hello")
	if err != nil {
		return 0 // and what is waited for never comes
	}
	return app.Last + 1
}

// changes measures the floor and every command in turns.
func (b *bench) changes(ctx context.Context, version string) (err error) {
	app, err := b.client.App(ctx, "hello")
	if err != nil {
		return err
	}
	release, err := b.client.Release(ctx, "hello", app.Release)
	if err != nil {
		return err
	}
	if b.floor, err = newFloor(release.Image); err != nil {
		return err
	}
	defer b.floor.clean()
	for round := range b.rounds + 1 {
		took, err := b.floor.measure(ctx, version)
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		b.times.Note(round, floorName, took)
		for _, c := range b.commands() {
			if took, err = b.measure(ctx, c, round); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			b.times.Note(round, c.name, took)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round, b.rounds)
	}
	return nil
}

// measure takes the time from the command to the first answer of what it brings. The
// answer comes before the command has ended.
func (b *bench) measure(ctx context.Context, c command, round int) (time.Duration, error) {
	args, brings := c.args(round)
	ended := make(chan error, 1)
	began := time.Now()
	go func() { // ends with the command
		out, err := b.host.Command(append(args, "-a", "hello")...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		ended <- err
	}()
	if err := b.host.Answers(ctx, "hello", brings); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if err := <-ended; err != nil {
		return 0, err
	}
	if c.undo != nil {
		if out, err := b.host.Command(append(c.undo, "-a", "hello")...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
	}
	return took, b.quiet(ctx, 1)
}

// quiet waits until there are n healthy instances, and no others.
func (b *bench) quiet(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		instances, err := b.client.Instances(ctx, "")
		if err != nil {
			return err
		}
		healthy := 0
		for _, i := range instances {
			if i.Phase == octo.PhaseHealthy {
				healthy++
			}
		}
		if healthy == n && len(instances) == n {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ctx.Err()
}
