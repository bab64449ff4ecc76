package stage

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Times are durations that were measured, by what they are of.
type Times map[string][]time.Duration

// Note keeps a duration. Round 0 warms up, and is not counted.
func (t Times) Note(round int, what string, took time.Duration) {
	if round > 0 {
		t[what] = append(t[what], took)
	}
}

// Median returns the middle one; 0 where there is none.
func (t Times) Median(what string) time.Duration {
	ts := slices.Sorted(slices.Values(t[what]))
	if len(ts) == 0 {
		return 0
	}
	return ts[len(ts)/2]
}

// Print prints all of them, n being how many rounds there were.
func (t Times) Print(n int) {
	fmt.Printf("%s, n=%d (milliseconds)\n%-34s %8s %8s %8s\n", Machine(), n, "", "median", "min", "max")
	for _, what := range slices.Sorted(maps.Keys(t)) {
		ts := t[what]
		fmt.Printf("%-34s %8d %8d %8d\n", what, t.Median(what).Milliseconds(), slices.Min(ts).Milliseconds(), slices.Max(ts).Milliseconds())
	}
}

// Figure prints a value beside its goal, which is the most that it may be, or the least.
func Figure(name string, value float64, unit string, goal float64, atLeast bool) {
	verdict := "missed"
	if (atLeast && value >= goal) || (!atLeast && value <= goal) {
		verdict = "met"
	}
	fmt.Printf("figure %s %.2f %s goal %.2f %s\n", name, value, unit, goal, verdict)
}

// Machine describes where this runs.
func Machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // left out where there is none
	engine, _ := exec.Command("docker", "version", "-f", "{{.Server.Version}}").Output()
	return fmt.Sprintf("%s, %d x %s, Linux %s, Docker %s", time.Now().Format(time.DateOnly), runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), strings.TrimSpace(string(engine)))
}

// Answers waits until a site answers with a version, asking every millisecond.
func Answers(ctx context.Context, url, host, version string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Host = host
		if resp, err := client.Do(req); err == nil {
			text, _ := io.ReadAll(resp.Body) // a part of it is not the version
			_ = resp.Body.Close()            // read to its end
			if resp.StatusCode == http.StatusOK && strings.Contains(string(text), version) {
				return nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s does not answer with %s", url, version)
}
