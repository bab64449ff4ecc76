package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/octohost/octohost/bench/stage"
)

// floorName is what the raw way is called.
const floorName = "floor: create, start, first answer"

// floor starts containers by the engine's own API, on a bridge of their own.
type floor struct {
	image   string
	network string
	docker  *http.Client
}

func newFloor(image string) (*floor, error) {
	network := "octo-bench-life-" + rand.Text()
	if out, err := exec.Command("docker", "network", "create", network).CombinedOutput(); err != nil { //nolint:gosec // of the bench
		return nil, fmt.Errorf("create network: %w: %s", err, out)
	}
	return &floor{image: image, network: network, docker: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", "/var/run/docker.sock")
	}}}}, nil
}

// clean removes the bridge.
func (f *floor) clean() {
	if out, err := exec.Command("docker", "network", "rm", f.network).CombinedOutput(); err != nil { //nolint:gosec // our own
		log.Printf("remove network: %v: %s", err, out)
	}
}

// measure takes the time from the call that creates a container to its first answer.
func (f *floor) measure(ctx context.Context, version string) (time.Duration, error) {
	began := time.Now()
	var made struct{ ID string }
	if err := f.call(http.MethodPost, "/containers/create", fmt.Sprintf(`{"Image":%q,"HostConfig":{"NetworkMode":%q}}`, f.image, f.network), &made); err != nil {
		return 0, err
	}
	defer exec.Command("docker", "rm", "-f", made.ID).Run() //nolint:errcheck,gosec // at worst it stays until somebody looks
	if err := f.call(http.MethodPost, "/containers/"+made.ID+"/start", "", nil); err != nil {
		return 0, err
	}
	var seen struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := f.call(http.MethodGet, "/containers/"+made.ID+"/json", "", &seen); err != nil {
		return 0, err
	}
	err := stage.Answers(ctx, "http://"+seen.NetworkSettings.Networks[f.network].IPAddress+":5000/", "", version)
	return time.Since(began), err
}

func (f *floor) call(method, path, body string, into any) error {
	req, err := http.NewRequest(method, "http://docker/v1.41"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.docker.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // decoded
	if resp.StatusCode >= http.StatusBadRequest {
		why, _ := io.ReadAll(resp.Body) // as far as it can be read
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, why)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
