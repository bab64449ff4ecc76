package stage

import (
	"context"
	"errors"
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

// Host is the octohost that is measured.
type Host struct {
	HTTP, SSH string // where its doors are

	Dir string // where everything is that the measurement makes

	octo   string
	daemon *exec.Cmd
}

// FreeAddress returns an address on loopback that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Open makes the source of an app, and runs octo serve, in a directory that Stop removes.
func Open(ctx context.Context, octo string) (h *Host, app *Source, err error) {
	if octo, err = filepath.Abs(octo); err != nil {
		return nil, nil, err
	}
	h = &Host{octo: octo}
	if h.Dir, err = os.MkdirTemp("", "octo-bench-"); err != nil {
		return nil, nil, err
	}
	if app, err = NewSource(h.Dir); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make the app: %w", err), os.RemoveAll(h.Dir))
	}
	if err := h.begin(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start octo: %w", err), os.RemoveAll(h.Dir))
	}
	return h, app, nil
}

// begin runs octo serve for the first time.
func (h *Host) begin(ctx context.Context) (err error) {
	if err := os.Mkdir(h.Path(""), 0o700); err != nil {
		return err
	}
	if h.HTTP, err = FreeAddress(); err != nil {
		return err
	}
	if h.SSH, err = FreeAddress(); err != nil {
		return err
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench@stage", "-f", h.Path("key")).CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	return h.Launch(ctx)
}

// Launch runs octo serve, and returns when its doors are open.
func (h *Host) Launch(ctx context.Context) error {
	logs, err := os.OpenFile(h.Path("octo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()                                                                                                                                                          //nolint:errcheck // the daemon has its own
	h.daemon = exec.CommandContext(ctx, h.octo, "serve", "--data", h.Path("data"), "--http", h.HTTP, "--ssh", h.SSH, "--domain", "localhost", "--authorize", h.Path("key.pub")) //nolint:gosec // what is measured
	h.daemon.Stdout, h.daemon.Stderr = logs, logs
	h.daemon.Cancel = func() error { return h.daemon.Process.Signal(syscall.SIGTERM) }
	if err := h.daemon.Start(); err != nil {
		return err
	}
	return h.ready()
}

// End ends octo serve, and leaves everything as it is.
func (h *Host) End() {
	_ = h.daemon.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = h.daemon.Wait()                          // how does not matter any more
}

// Path returns a path in the directory of the octohost.
func (h *Host) Path(name string) string { return filepath.Join(h.Dir, "octo", name) }

// ready waits until the SSH door is open.
func (h *Host) ready() error {
	for range 300 {
		conn, err := net.Dial("tcp", h.SSH)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(h.Path("octo.log")) // said as far as there is one
	return fmt.Errorf("octo serve does not come up: %s", text)
}

// Stop ends octo serve, and removes all that was made.
func (h *Host) Stop() {
	h.End()
	defer os.RemoveAll(h.Dir) //nolint:errcheck // a temporary directory
	id, err := os.ReadFile(h.Path("data/id"))
	if err != nil {
		return
	}
	for _, kind := range [][2]string{{"ps -aq", "rm -f -v"}, {"images -q", "rmi -f"}, {"network ls -q", "network rm"}} {
		list := append(strings.Fields(kind[0]), "--filter", "label=octohost.host="+strings.TrimSpace(string(id)))
		out, _ := exec.Command("docker", list...).Output() //nolint:gosec // our own
		if ids := strings.Fields(string(out)); len(ids) > 0 {
			if out, err := exec.Command("docker", append(strings.Fields(kind[1]), ids...)...).CombinedOutput(); err != nil { //nolint:gosec // our own
				log.Printf("docker %s: %v: %s", kind[1], err, out)
			}
		}
	}
}

// Command is a command line of octo, on this octohost.
func (h *Host) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.octo, args...) //nolint:gosec // what is measured
	cmd.Env = append(os.Environ(), "OCTO_SOCKET="+h.Path("data/octo.sock"))
	return cmd
}

// Push measures from git push to the first answer of a version through the proxy.
// The answer comes before the push has ended: it is what people wait for.
func (h *Host) Push(ctx context.Context, app *Source, name, version string) (time.Duration, error) {
	seen := make(chan error, 1)
	began := time.Now()
	var took time.Duration
	go func() { // ends with the answer, or after a minute
		err := h.Answers(ctx, name, version)
		took = time.Since(began)
		seen <- err
	}()
	ssh := fmt.Sprintf("ssh -F /dev/null -i %s -o IdentitiesOnly=yes -o UserKnownHostsFile=%s -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR", h.Path("key"), h.Path("known_hosts"))
	if err := RunGit(app.Dir, []string{"GIT_SSH_COMMAND=" + ssh}, "push", "-q", "--force", fmt.Sprintf("ssh://octo@%s/%s", h.SSH, name), "main"); err != nil {
		return 0, err
	}
	err := <-seen
	return took, err
}

// Answers waits until an app answers with a text, asking every millisecond.
func (h *Host) Answers(ctx context.Context, name, version string) error {
	return Answers(ctx, "http://"+h.HTTP+"/", name+".localhost", version)
}

// Memory returns the resident set of the daemon in bytes.
func (h *Host) Memory() int64 {
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

// DrainBody reads an answer to its end, so that its connection can be used again.
func DrainBody(resp *http.Response) error {
	_, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // read to its end
	return err
}
