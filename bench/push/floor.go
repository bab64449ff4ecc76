package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/octohost/octohost/bench/stage"
)

// floors are the raw ways from a commit to a running container.
type floors struct {
	app    *stage.Source
	bare   string
	scrap  string // where a tree is checked out
	docker *http.Client
	kinds  []floor
	images []string
}

// floorCLI is what a person would type.
const floorCLI = "floor: git, docker build, run"

// floor is one raw way: it builds what is in the bare repository, and returns the
// image's name.
type floor struct {
	name  string
	build func() (string, error)
	start func(image string) (container string, err error)
}

func (b *bench) floors(app *stage.Source, dir string) (*floors, error) {
	f := &floors{app: app, bare: filepath.Join(dir, "bare.git"), scrap: filepath.Join(dir, "scrap")}
	f.docker = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", b.engine)
	}}}
	f.kinds = []floor{
		{floorCLI, f.buildCLI([]string{"docker", "build"}, "DOCKER_BUILDKIT=0"), f.runCLI},
		{"floor: git, engine API", f.buildAPI, f.runAPI},
	}
	if b.buildx != "" {
		f.kinds = append(f.kinds, floor{"floor: git, buildx, engine API", f.buildCLI([]string{b.buildx, "build", "--load", "--provenance=false"}), f.runAPI})
	}
	return f, stage.RunGit(dir, nil, "init", "-q", "--bare", f.bare)
}

// measure takes the time from git push to the first answer of a version.
func (f *floors) measure(ctx context.Context, kind floor, version string) (time.Duration, error) {
	began := time.Now()
	if err := f.app.Git("push", "-q", "--force", f.bare, "main"); err != nil {
		return 0, err
	}
	image, err := kind.build()
	if err != nil {
		return 0, err
	}
	f.images = append(f.images, image)
	container, err := kind.start(image)
	if err != nil {
		return 0, err
	}
	defer exec.Command("docker", "rm", "-f", container).Run() //nolint:errcheck // at worst it stays until somebody looks
	ip, err := f.address(container)
	if err != nil {
		return 0, err
	}
	err = stage.Answers(ctx, "http://"+ip+":5000/", "", version)
	return time.Since(began), err
}

// buildCLI checks the tree out and runs a command line.
func (f *floors) buildCLI(command []string, env ...string) func() (string, error) {
	return func() (string, error) {
		image := "octo-bench-floor:" + fmt.Sprint(time.Now().UnixNano())
		if err := os.RemoveAll(f.scrap); err != nil {
			return "", err
		}
		if err := os.MkdirAll(f.scrap, 0o755); err != nil {
			return "", err
		}
		checkout := exec.Command("sh", "-c", "git --git-dir=\"$1\" archive main | tar -x -C \"$2\"", "sh", f.bare, f.scrap)
		if out, err := checkout.CombinedOutput(); err != nil {
			return "", fmt.Errorf("archive: %w: %s", err, out)
		}
		build := exec.Command(command[0], append(command[1:], "-q", "-t", image, f.scrap)...) //nolint:gosec // of the bench
		build.Env = append(os.Environ(), env...)
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build: %w: %s", err, out)
		}
		return image, nil
	}
}

// buildAPI pipes the archive into the engine.
func (f *floors) buildAPI() (string, error) {
	image := "octo-bench-floor:" + fmt.Sprint(time.Now().UnixNano())
	archive := exec.Command("git", "--git-dir="+f.bare, "archive", "main") //nolint:gosec // of the bench
	tar, err := archive.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := archive.Start(); err != nil {
		return "", err
	}
	resp, err := f.docker.Post("http://docker/v1.41/build?q=1&rm=1&t="+image, "application/x-tar", tar)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || bytes.Contains(text, []byte("errorDetail"))) {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	if err != nil {
		return "", err
	}
	return image, archive.Wait()
}

func (f *floors) runCLI(image string) (string, error) {
	out, err := exec.Command("docker", "run", "-d", image).Output() //nolint:gosec // of the bench
	return strings.TrimSpace(string(out)), err
}

func (f *floors) runAPI(image string) (string, error) {
	resp, err := f.docker.Post("http://docker/v1.41/containers/create", "application/json", strings.NewReader(fmt.Sprintf(`{"Image":%q}`, image)))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // decoded
	var made struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		return "", err
	}
	started, err := f.docker.Post("http://docker/v1.41/containers/"+made.ID+"/start", "application/json", nil)
	if err != nil {
		return "", err
	}
	return made.ID, started.Body.Close()
}

func (f *floors) address(container string) (string, error) {
	resp, err := f.docker.Get("http://docker/v1.41/containers/" + container + "/json")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // decoded
	var seen struct{ NetworkSettings struct{ IPAddress string } }
	err = json.NewDecoder(resp.Body).Decode(&seen)
	return seen.NetworkSettings.IPAddress, err
}

// clean removes the images that the floors built.
func (f *floors) clean() {
	if len(f.images) > 0 {
		_ = exec.Command("docker", append([]string{"rmi", "-f"}, f.images...)...).Run() //nolint:gosec // our own
	}
}
