// Life measures what people do with an app after its first push: how long it takes from
// the command to the first answer of what it brings, beside the raw engine calls for the
// same image: create, start, first answer. Both run in turns, in the same run, on the
// same machine.
//
//	life [-n 7] [-apps 500] [-running 60] [-octo bin/octo]
//
// It also measures a list of 1,000 apps, and the daemon's memory with many apps of which
// some run. It removes all that it made. The last lines are one
// "figure NAME VALUE UNIT goal GOAL met|missed" each.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/octohost/octohost/bench/stage"
	"github.com/octohost/octohost/internal/api"
)

// bench is one run.
type bench struct {
	rounds, apps, running int
	octo                  string

	host   *stage.Host
	client *api.Client
	floor  *floor
	times  stage.Times
}

func main() {
	b := &bench{times: stage.Times{}}
	flag.IntVar(&b.rounds, "n", 7, "rounds")
	flag.IntVar(&b.apps, "apps", 500, "apps for the measure of memory")
	flag.IntVar(&b.running, "running", 60, "how many of them run")
	flag.StringVar(&b.octo, "octo", "bin/octo", "the octo binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		log.Fatal(err)
	}
}

func (b *bench) run(ctx context.Context) (err error) {
	var app *stage.Source
	if b.host, app, err = stage.Open(ctx, b.octo); err != nil {
		return err
	}
	defer b.host.Stop()
	b.client = api.NewClient(api.DialLocal(b.host.Path("data/octo.sock")))
	version, err := app.Change()
	if err != nil {
		return err
	}
	if _, err := b.host.Push(ctx, app, "hello", version); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	if err := b.changes(ctx, version); err != nil {
		return err
	}
	b.times.Print(b.rounds)
	memory, err := b.many(ctx)
	if err != nil {
		return fmt.Errorf("many apps: %w", err)
	}
	list, err := b.list(ctx)
	if err != nil {
		return fmt.Errorf("list apps: %w", err)
	}
	b.figures(memory, list)
	return nil
}

// figures prints what the goals are about.
func (b *bench) figures(memory int64, list time.Duration) {
	floor := b.times.Median(floorName)
	fmt.Println()
	for _, c := range b.commands() {
		took := b.times.Median(c.name)
		fmt.Printf("%s takes %.2f times as long as the raw start of a container.\n", c.name, took.Seconds()/floor.Seconds())
	}
	for _, c := range b.commands() {
		stage.Figure(c.figure+"_beyond_start", (b.times.Median(c.name) - floor).Seconds(), "s", 1, false)
	}
	stage.Figure(fmt.Sprintf("list_%d_apps", listed), float64(list.Microseconds())/1000, "ms", 100, false)
	stage.Figure(fmt.Sprintf("daemon_rss_%d_apps_%d_running", b.apps, b.running), float64(memory)/(1<<20), "MiB", 80, false)
}
