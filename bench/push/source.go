package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// source is the repository of the measured app: a static server that answers with
// the content of version.txt.
type source struct{ dir string }

const program = `package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	version, _ := os.ReadFile("/version.txt")
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	s := &http.Server{Addr: ":" + port, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(version) })}
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go s.ListenAndServe()
	<-ctx.Done()
	s.Shutdown(context.Background())
}
`

const dockerfile = `FROM scratch
COPY server /server
COPY version.txt /version.txt
EXPOSE 5000
CMD ["/server"]
`

func newSource(dir string) (*source, error) {
	s := &source{dir: filepath.Join(dir, "app")}
	build := filepath.Join(dir, "build")
	for path, text := range map[string]string{
		filepath.Join(build, "main.go"): program, filepath.Join(build, "go.mod"): "module server\n\ngo 1.22\n",
		filepath.Join(s.dir, "Dockerfile"): dockerfile, filepath.Join(s.dir, "version.txt"): "v0",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a source
			return nil, err
		}
	}
	compile := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(s.dir, "server"), ".")
	compile.Dir, compile.Env = build, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := s.git("init", "-q", "-b", "main"); err != nil {
		return nil, err
	}
	return s, s.commit()
}

func (s *source) commit() error {
	if err := s.git("add", "-A"); err != nil {
		return err
	}
	return s.git("commit", "-q", "-m", "change")
}

// change commits a version that nobody has seen, and returns it.
func (s *source) change() (string, error) {
	version := rand.Text()
	if err := os.WriteFile(filepath.Join(s.dir, "version.txt"), []byte(version), 0o644); err != nil { //nolint:gosec // a source
		return "", err
	}
	return version, s.commit()
}

func (s *source) git(args ...string) error { return runGit(s.dir, nil, args...) }

func runGit(dir string, env []string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@localhost", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@localhost"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

// machine describes where this runs.
func machine() string {
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
