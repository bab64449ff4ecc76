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
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	rounds int
	apps   int
	octo   string
	buildx string // "" means that BuildKit is left out of the floor
	engine string // socket of the Docker Engine
	dir    string
	times  map[string][]time.Duration
}

func main() {
	b := &bench{engine: "/var/run/docker.sock", times: map[string][]time.Duration{}}
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

func (b *bench) run(ctx context.Context) (err error) {
	if b.octo, err = filepath.Abs(b.octo); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "octo-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary directory
	app, err := newSource(b.dir)
	if err != nil {
		return fmt.Errorf("make the app: %w", err)
	}
	h, err := startHost(ctx, b)
	if err != nil {
		return fmt.Errorf("start octo: %w", err)
	}
	defer h.stop()
	idle := h.memory()
	if err := b.pushes(ctx, app, h); err != nil {
		return err
	}
	if err := b.rollbacks(ctx, h); err != nil {
		return err
	}
	b.print()
	direct, through, plain, err := b.proxies(h)
	if err != nil {
		return err
	}
	if err := h.deployMany(ctx, app, b.apps); err != nil {
		return err
	}
	b.figures(idle, h.memory(), direct, through, plain)
	return nil
}

// pushes measures the floors and octo in turns. The first round warms up.
func (b *bench) pushes(ctx context.Context, app *source, h *host) error {
	floors, err := b.floors(app)
	if err != nil {
		return err
	}
	defer floors.clean()
	for round := range b.rounds + 1 {
		for _, f := range floors.kinds {
			version, err := app.change()
			if err != nil {
				return err
			}
			took, err := floors.measure(ctx, f, version)
			if err != nil {
				return fmt.Errorf("floor, %s: %w", f.name, err)
			}
			b.note(round, f.name, took)
		}
		version, err := app.change()
		if err != nil {
			return err
		}
		took, err := h.push(ctx, app, "hello", version)
		if err != nil {
			return fmt.Errorf("octo: %w", err)
		}
		b.note(round, "octo", took)
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round, b.rounds)
	}
	return nil
}

// rollbacks measures octo rollback, from the command to the first answer.
func (b *bench) rollbacks(ctx context.Context, h *host) error {
	for round := range b.rounds + 1 {
		took, err := h.rollback(ctx, "hello")
		if err != nil {
			return fmt.Errorf("rollback: %w", err)
		}
		b.note(round, "rollback", took)
	}
	return nil
}

func (b *bench) note(round int, what string, took time.Duration) {
	if round > 0 {
		b.times[what] = append(b.times[what], took)
	}
}

func (b *bench) median(what string) time.Duration {
	ts := slices.Clone(b.times[what])
	slices.Sort(ts)
	if len(ts) == 0 {
		return 0
	}
	return ts[len(ts)/2]
}

// fastest is the fastest of the raw ways.
func (b *bench) fastest() (name string, took time.Duration) {
	for what := range b.times {
		if m := b.median(what); strings.HasPrefix(what, "floor") && (took == 0 || m < took) {
			name, took = what, m
		}
	}
	return name, took
}

func (b *bench) print() {
	fmt.Printf("%s, n=%d (milliseconds)\n%-34s %8s %8s %8s\n", machine(), b.rounds, "", "median", "min", "max")
	for _, what := range slices.Sorted(keys(b.times)) {
		ts := b.times[what]
		fmt.Printf("%-34s %8d %8d %8d\n", what, b.median(what).Milliseconds(), slices.Min(ts).Milliseconds(), slices.Max(ts).Milliseconds())
	}
}

func keys(m map[string][]time.Duration) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// figures prints what the goals are about.
func (b *bench) figures(idle, many int64, direct, through, plain float64) {
	name, fastest := b.fastest()
	octo, floor := b.median("octo"), b.median(floorCLI)
	fmt.Printf("\nThe fastest floor is %q. Requests per second: straight to the app %.0f, through octo %.0f, through a plain ReverseProxy %.0f.\n", name, direct, through, plain)
	figure("push_ratio", float64(octo)/float64(floor), "x", 1.25, false)
	figure("push_beyond_floor", (octo - floor).Seconds(), "s", 0.5, false)
	figure("push_ratio_fastest_floor", float64(octo)/float64(fastest), "x", 1.25, false)
	figure("push_beyond_fastest_floor", (octo - fastest).Seconds(), "s", 0.5, false)
	figure("rollback", b.median("rollback").Seconds(), "s", 1, false)
	figure("daemon_rss_idle", float64(idle)/(1<<20), "MiB", 40, false)
	figure(fmt.Sprintf("daemon_rss_%d_apps", b.apps), float64(many)/(1<<20), "MiB", 80, false)
	figure("proxy_vs_reverse_proxy", through/plain, "x", 1, true)
}

func figure(name string, value float64, unit string, goal float64, atLeast bool) {
	verdict := "missed"
	if (atLeast && value >= goal) || (!atLeast && value <= goal) {
		verdict = "met"
	}
	fmt.Printf("figure %s %.2f %s goal %.2f %s\n", name, value, unit, goal, verdict)
}
