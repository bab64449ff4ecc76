package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// host is the octohost that is measured.
type host struct {
	octo, dir string
	http, ssh string
	daemon    *exec.Cmd
	current   map[string]string // version of each app now
	before    map[string]string // and the one before
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func startHost(ctx context.Context, b *bench) (h *host, err error) {
	h = &host{octo: b.octo, dir: filepath.Join(b.dir, "octo"), current: map[string]string{}, before: map[string]string{}}
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		return nil, err
	}
	if h.http, err = freeAddress(); err != nil {
		return nil, err
	}
	if h.ssh, err = freeAddress(); err != nil {
		return nil, err
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", h.path("key")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	logs, err := os.Create(h.path("octo.log"))
	if err != nil {
		return nil, err
	}
	defer logs.Close()                                                                                                                                                          //nolint:errcheck // the daemon has its own
	h.daemon = exec.CommandContext(ctx, h.octo, "serve", "--data", h.path("data"), "--http", h.http, "--ssh", h.ssh, "--domain", "localhost", "--authorize", h.path("key.pub")) //nolint:gosec // what is measured
	h.daemon.Stdout, h.daemon.Stderr = logs, logs
	h.daemon.Cancel = func() error { return h.daemon.Process.Signal(syscall.SIGTERM) }
	if err := h.daemon.Start(); err != nil {
		return nil, err
	}
	return h, h.ready()
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// ready waits until the SSH door is open.
func (h *host) ready() error {
	for range 300 {
		conn, err := net.Dial("tcp", h.ssh)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(h.path("octo.log")) // said as far as there is one
	return fmt.Errorf("octo serve does not come up: %s", text)
}

// stop removes the apps and ends the daemon.
func (h *host) stop() {
	for app := range h.current {
		if out, err := h.command("apps:destroy", app, "--confirm", app).CombinedOutput(); err != nil {
			log.Printf("destroy %s: %v: %s", app, err, out)
		}
	}
	_ = h.daemon.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = h.daemon.Wait()                          // how does not matter any more
	id, err := os.ReadFile(h.path("data/id"))
	if err != nil {
		return
	}
	out, _ := exec.Command("docker", "network", "ls", "-q", "--filter", "label=octohost.host="+strings.TrimSpace(string(id))).Output() //nolint:gosec // our own
	for _, network := range strings.Fields(string(out)) {
		_ = exec.Command("docker", "network", "rm", network).Run() //nolint:gosec // our own
	}
}

func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.octo, args...) //nolint:gosec // what is measured
	cmd.Env = append(os.Environ(), "OCTO_SOCKET="+h.path("data/octo.sock"))
	return cmd
}

// push measures from git push to the first answer of a version through the proxy.
// The answer comes before the push has ended: it is what people wait for.
func (h *host) push(ctx context.Context, app *source, name, version string) (time.Duration, error) {
	seen := make(chan error, 1)
	began := time.Now()
	var took time.Duration
	go func() { // ends with the answer, or after a minute
		err := h.answers(ctx, name, version)
		took = time.Since(began)
		seen <- err
	}()
	ssh := fmt.Sprintf("ssh -F /dev/null -i %s -o IdentitiesOnly=yes -o UserKnownHostsFile=%s -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR", h.path("key"), h.path("known_hosts"))
	if err := runGit(app.dir, []string{"GIT_SSH_COMMAND=" + ssh}, "push", "-q", "--force", fmt.Sprintf("ssh://octo@%s/%s", h.ssh, name), "main"); err != nil {
		return 0, err
	}
	err := <-seen
	h.before[name], h.current[name] = h.current[name], version
	return took, err
}

func (h *host) rollback(ctx context.Context, name string) (time.Duration, error) {
	began := time.Now()
	if out, err := h.command("rollback", "-a", name).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	h.before[name], h.current[name] = h.current[name], h.before[name]
	err := h.answers(ctx, name, h.current[name])
	return time.Since(began), err
}

func (h *host) answers(ctx context.Context, name, version string) error {
	return answers(ctx, "http://"+h.http+"/", name+".localhost", version)
}

// deployMany deploys n further apps.
func (h *host) deployMany(ctx context.Context, app *source, n int) error {
	for i := range n {
		version, err := app.change()
		if err != nil {
			return err
		}
		if _, err := h.push(ctx, app, fmt.Sprintf("many-%d", i), version); err != nil {
			return err
		}
	}
	return nil
}

// memory returns the resident set of the daemon in bytes.
func (h *host) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.daemon.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64) // the kernel's own form
			return kib << 10
		}
	}
	return 0
}

// drainBody reads an answer to its end, so that its connection can be used again.
func drainBody(resp *http.Response) error {
	_, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // read to its end
	return err
}
