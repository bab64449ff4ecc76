// Push measures how long it takes from git push to the first answer of the new
// version, beside the raw floor: git push to a bare repository, docker build, docker
// run, first answer. Both run in turns, in the same run, on the same machine.
//
//	push [-n 7] [-octo bin/octo] [-buildx .cache/bin/docker-buildx]
//
// It also measures a rollback, the daemon's memory, and the proxy beside a plain
// httputil.ReverseProxy. It removes all that it made. The last lines are one
// "figure NAME VALUE UNIT goal GOAL met|missed" each.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/octohost/octohost/bench/stage"
)

// bench is one run.
type bench struct {
	rounds int
	apps   int
	octo   string
	buildx string // "" means that BuildKit is left out of the floor
	engine string // socket of the Docker Engine
	times  stage.Times

	versions [2]string // of the app: the one before, and the present one
}

func main() {
	b := &bench{engine: "/var/run/docker.sock", times: stage.Times{}}
	flag.IntVar(&b.rounds, "n", 7, "rounds")
	flag.IntVar(&b.apps, "apps", 50, "apps for the measure of memory")
	flag.StringVar(&b.octo, "octo", "bin/octo", "the octo binary")
	flag.StringVar(&b.buildx, "buildx", "", "a docker-buildx binary, for the floor with BuildKit")
	plain := flag.String("plain", "", "be a plain reverse proxy in front of this origin")
	listen := flag.String("listen", "", "where the plain reverse proxy listens")
	flag.Parse()
	if *plain != "" {
		log.Fatal(servePlain(*plain, *listen))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		log.Fatal(err)
	}
}

func (b *bench) run(ctx context.Context) error {
	h, app, err := stage.Open(ctx, b.octo)
	if err != nil {
		return err
	}
	defer h.Stop()
	idle := h.Memory()
	if err := b.pushes(ctx, app, h); err != nil {
		return err
	}
	if err := b.rollbacks(ctx, h); err != nil {
		return err
	}
	b.times.Print(b.rounds)
	direct, through, plain, err := b.proxies(h)
	if err != nil {
		return err
	}
	if err := deployMany(ctx, h, app, b.apps); err != nil {
		return err
	}
	b.figures(idle, h.Memory(), direct, through, plain)
	return nil
}

// pushes measures the floors and octo in turns. The first round warms up.
func (b *bench) pushes(ctx context.Context, app *stage.Source, h *stage.Host) error {
	floors, err := b.floors(app, h.Dir)
	if err != nil {
		return err
	}
	defer floors.clean()
	for round := range b.rounds + 1 {
		for _, f := range floors.kinds {
			version, err := app.Change()
			if err != nil {
				return err
			}
			took, err := floors.measure(ctx, f, version)
			if err != nil {
				return fmt.Errorf("floor, %s: %w", f.name, err)
			}
			b.times.Note(round, f.name, took)
		}
		version, err := app.Change()
		if err != nil {
			return err
		}
		took, err := h.Push(ctx, app, "hello", version)
		if err != nil {
			return fmt.Errorf("octo: %w", err)
		}
		b.versions[0], b.versions[1] = b.versions[1], version
		b.times.Note(round, "octo", took)
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round, b.rounds)
	}
	return nil
}

// rollbacks measures octo rollback, from the command to the first answer.
func (b *bench) rollbacks(ctx context.Context, h *stage.Host) error {
	for round := range b.rounds + 1 {
		took, err := b.rollback(ctx, h, "hello")
		if err != nil {
			return fmt.Errorf("rollback: %w", err)
		}
		b.times.Note(round, "rollback", took)
	}
	return nil
}

// fastest is the fastest of the raw ways.
func (b *bench) fastest() (name string, took time.Duration) {
	for what := range b.times {
		if m := b.times.Median(what); strings.HasPrefix(what, "floor") && (took == 0 || m < took) {
			name, took = what, m
		}
	}
	return name, took
}

// figures prints what the goals are about.
func (b *bench) figures(idle, many int64, direct, through, plain float64) {
	name, fastest := b.fastest()
	octo, floor := b.times.Median("octo"), b.times.Median(floorCLI)
	fmt.Printf("\nThe fastest floor is %q. Requests per second: straight to the app %.0f, through octo %.0f, through a plain ReverseProxy %.0f.\n", name, direct, through, plain)
	stage.Figure("push_ratio", float64(octo)/float64(floor), "x", 1.25, false)
	stage.Figure("push_beyond_floor", (octo - floor).Seconds(), "s", 0.5, false)
	stage.Figure("push_ratio_fastest_floor", float64(octo)/float64(fastest), "x", 1.25, false)
	stage.Figure("push_beyond_fastest_floor", (octo - fastest).Seconds(), "s", 0.5, false)
	stage.Figure("rollback", b.times.Median("rollback").Seconds(), "s", 1, false)
	stage.Figure("daemon_rss_idle", float64(idle)/(1<<20), "MiB", 40, false)
	stage.Figure(fmt.Sprintf("daemon_rss_%d_apps", b.apps), float64(many)/(1<<20), "MiB", 80, false)
	stage.Figure("proxy_vs_reverse_proxy", through/plain, "x", 1, true)
}
