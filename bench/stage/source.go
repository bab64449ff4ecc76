// Package stage is what the benchmarks have in common: an app, an octohost, and how
// figures are printed.
package stage

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Source is the repository of the measured app: a static server that answers with the
// content of version.txt, its instance and its greeting.
type Source struct{ Dir string }

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
	answer := []byte(string(version) + " " + os.Getenv("OCTOHOST_INSTANCE") + " " + os.Getenv("GREETING") + " ")
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	s := &http.Server{Addr: ":" + port, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(answer) })}
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

// NewSource makes the repository below a directory.
func NewSource(dir string) (*Source, error) {
	s := &Source{Dir: filepath.Join(dir, "app")}
	build := filepath.Join(dir, "build")
	for path, text := range map[string]string{
		filepath.Join(build, "main.go"): program, filepath.Join(build, "go.mod"): "module server\n\ngo 1.22\n",
		filepath.Join(s.Dir, "Dockerfile"): dockerfile, filepath.Join(s.Dir, "version.txt"): "v0",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a source
			return nil, err
		}
	}
	compile := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(s.Dir, "server"), ".")
	compile.Dir, compile.Env = build, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := s.Git("init", "-q", "-b", "main"); err != nil {
		return nil, err
	}
	return s, s.commit()
}

func (s *Source) commit() error {
	if err := s.Git("add", "-A"); err != nil {
		return err
	}
	return s.Git("commit", "-q", "-m", "change")
}

// Change commits a version that nobody has seen, and returns it.
func (s *Source) Change() (string, error) {
	version := rand.Text()
	if err := os.WriteFile(filepath.Join(s.Dir, "version.txt"), []byte(version), 0o644); err != nil { //nolint:gosec // a source
		return "", err
	}
	return version, s.commit()
}

// Git runs git in the repository.
func (s *Source) Git(args ...string) error { return RunGit(s.Dir, nil, args...) }

// RunGit runs git in a directory, as nobody in particular.
func RunGit(dir string, env []string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@localhost", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@localhost"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}
